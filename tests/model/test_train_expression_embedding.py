"""The recipe of the expression embedding, where it can be held against plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
import train_expression_embedding as recipe


def test_the_first_two_of_a_triplet_are_the_nearest():
    f_exp = np.random.default_rng(1).uniform(0, 1, (12, 51)).astype(np.float32)
    rows, share = recipe.nearest_triplets(torch.from_numpy(f_exp), 200, np.random.default_rng(2))
    assert len(rows) > 100
    for (one, other, odd), found in zip(rows.tolist(), share.tolist(), strict=True):
        assert len({one, other, odd}) == 3
        pairs = ((one, other), (one, odd), (other, odd))
        near, *far = (float(np.linalg.norm(f_exp[i] - f_exp[j])) for i, j in pairs)
        assert near <= min(far) + 1e-4
        assert abs(found - near / min(far)) < 1e-3


def test_what_is_written_embeds_as_what_was_trained():
    """E_exp is standardised in training; the layers take that in, and V_id is 0."""
    part = SimpleNamespace(f_exp=np.zeros((1, 51), np.float32))
    network, student = recipe.untrained([SimpleNamespace(parts=[part])])
    image = torch.rand(32, 3, 88, 88, generator=torch.Generator().manual_seed(3)) * 2 - 1
    for _ in range(60):
        student(image, parts=False)
    student.eval()
    with torch.no_grad():
        trained, _ = student(image, parts=False)
        recipe.take_in_standardisation(student)
        written = network.eval().embed(image)
        assert torch.equal(network.global_branch.identity(image), torch.zeros(32, 96))
    # The face model is trained at bfloat16.
    error = (trained.float() - written).norm() / written.norm()
    assert float(error) < 0.1
    assert float(written.std(0).mean()) > 0.3
