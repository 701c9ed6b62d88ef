"""Rest and estimates of clips with several faces, from rows made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.witness import OUTPUTS
from glee.pipeline.action_units.clip_estimates import FACES, ClipEstimates
from glee.pipeline.action_units.person_baseline import LEAST_FRAMES, BaselineFrames
from glee.pipeline.action_units.readings import AUS, au_readings

READINGS = au_readings(ARKIT_NAMES)
SMILE = [ARKIT_NAMES.index(f"mouthSmile{side}") for side in ("Left", "Right")]
SEEN = [OUTPUTS.index(f"mouthSmile{side}") for side in ("Left", "Right")]
AU12 = AUS.index(12)


class Rows(SimpleNamespace):
    """Rows of faces: numbers, what is fitted of smiles and what the network sees of them."""

    def __init__(self, face, smile, network, first=0, valid=None, share=1.0):
        count = len(face)
        f_exp, blendshapes = np.zeros((count, 51)), np.zeros((count, 52), np.float32)
        f_exp[:, SMILE] = np.asarray(smile)[:, None]
        blendshapes[:, SEEN] = np.asarray(network, np.float32)[:, None]
        faces = [
            SimpleNamespace(
                face_id=number, frame=first + i, time=(first + i) / 25, blendshapes=blendshapes[i]
            )
            for i, number in enumerate(face)
        ]
        super().__init__(
            faces=faces,
            fit=SimpleNamespace(
                f_exp=f_exp,
                f_exp_std=np.full((count, 51), 0.02),
                rules_share=np.full(count, share),
            ),
            good=np.ones(count, bool) if valid is None else np.asarray(valid),
        )

    def __len__(self):
        return len(self.faces)

    def valid(self, index):
        return bool(self.good[index])

    def visibility(self, index):
        return np.ones(7)


def estimated(rows, tmp_path, baseline="auto"):
    with ClipEstimates(READINGS, BaselineFrames.parse(baseline), tmp_path, "clip") as found:
        for one in rows:
            found.add(one)
        values = np.concatenate([block.intensity for block in found.blocks(7)])
    assert list(tmp_path.iterdir()) == []  # the waiting file has no name
    return values, found


def test_rest_is_read_where_the_network_sees_the_least(tmp_path):
    """A clip that smiles in two thirds; at rest the fit reads 0.3 for this person."""
    smile = np.array([0.9] * 40 + [0.3] * 20)
    network = np.array([0.8] * 40 + [0.0] * 20)
    values, found = estimated([Rows([0] * 60, smile, network)], tmp_path)
    assert (values[40:, AU12] == 0).all()
    assert (values[:40, AU12] > 2).all()
    assert found.notes() == []


def test_a_smile_that_never_ends_is_said(tmp_path):
    values, found = estimated([Rows([0] * 60, [0.9] * 60, [0.9] * 60)], tmp_path)
    assert (values[:, AU12] > 3).all()
    assert found.as_json()["faces"]["0"]["restless"] == ["AU12"]
    assert found.notes()[0].startswith("AU12 there even in the calmest frames")


def test_each_face_has_its_own_rest_and_rows_without_a_face_stay(tmp_path):
    """Two people in turn, one of whom reads 0.4 at rest; face -1 is nobody."""
    rows = [
        Rows([0, 1, -1], [0.0, 0.4, 0.0], [0.0, 0.0, 0.0], first=i, valid=[True, True, False])
        for i in range(40)
    ]
    values, found = estimated(rows, tmp_path)
    assert values.shape == (120, len(AUS))
    assert np.isnan(values[2::3]).all()
    assert (values[0::3, AU12] == 0).all()
    assert (values[1::3, AU12] == 0).all()
    assert sorted(found.baselines()) == [0, 1]


def test_a_face_that_the_named_frames_lack_has_what_is_usual_and_it_is_said(tmp_path):
    """As after a cut, from which on the face has another number."""
    rows = [Rows([0], [0.4], [0.0], first=i) for i in range(10)]
    rows += [Rows([1], [0.4], [0.0], first=i) for i in range(10, 20)]
    values, found = estimated(rows, tmp_path, baseline="0-4")
    assert (values[:10, AU12] == 0).all()
    assert (values[10:, AU12] > 0).all()
    kinds = {face: one["kind"] for face, one in found.as_json()["faces"].items()}
    assert kinds == {"0": "frames", "1": "usual"}
    assert "none of those of --baseline" in found.notes()[0]
    with pytest.raises(DataError, match="clip: no usable face"):
        estimated(rows, tmp_path, baseline="50-60")


def test_the_many_faces_of_a_film_are_one_line(tmp_path):
    count = 2 * FACES + 3
    rows = [Rows([face] * 2, [0.1] * 2, [0.0] * 2, first=2 * face) for face in range(count)]
    rows += [
        Rows([count + face] * LEAST_FRAMES, [0.2] * LEAST_FRAMES, [0.0] * LEAST_FRAMES)
        for face in range(FACES + 1)
    ]
    values, found = estimated(rows, tmp_path)
    assert len(found.baselines()) == count + FACES + 1
    assert (values[2 * count :, AU12] == 0).all()
    (line,) = found.notes()
    assert line.startswith(f"{count} of {count + FACES + 1} faces")


def test_a_jump_of_one_frame_is_left_out_and_a_blink_stays(tmp_path):
    """Of two faces in turn, so that a face's frames do not follow each other row by row."""
    smile = np.zeros((60, 2))
    smile[20, 0] = smile[30:32, 1] = smile[40, 1] = 0.9
    rows = [Rows([0, 1], smile[i], [0.0, 0.0], first=i) for i in range(60)]
    for number, one in enumerate(rows):
        for face in one.faces:
            face.frame, face.time = number, number / 25
    values, _ = estimated(rows, tmp_path)
    assert np.flatnonzero(values[0::2, AU12] > 1).tolist() == []
    assert np.flatnonzero(values[1::2, AU12] > 1).tolist() == [30, 31]
    for one in rows:  # frames of half a second say nothing of each other
        for face in one.faces:
            face.time = face.frame / 2
    values, _ = estimated(rows, tmp_path)
    assert np.flatnonzero(values[0::2, AU12] > 1).tolist() == [20]
    assert np.flatnonzero(values[1::2, AU12] > 1).tolist() == [30, 31, 40]


def test_what_else_moves_counts_where_expressions_come_apart(tmp_path):
    """A small smile beside an open jaw, of somebody who keeps to rules, and of one who does not."""
    found = {}
    for share in (1.0, 0.0):
        rows = Rows([0] * 60, [0.0] * 40 + [0.3] * 20, [0.0] * 40 + [0.4] * 20, share=share)
        rows.fit.f_exp[50:, ARKIT_NAMES.index("jawOpen")] = 1.0
        values, _ = estimated([rows], tmp_path)
        found[share] = values[:, AU12]
    np.testing.assert_allclose(found[1.0][45], found[1.0][55])
    assert found[0.0][55] < 0.9 * found[0.0][45]


def test_a_backend_without_a_network_has_a_percentile(tmp_path):
    rows = Rows([0] * 60, [0.05] * 20 + [0.8] * 40, [0.0] * 60)
    for face in rows.faces:
        face.blendshapes = None
    values, _ = estimated([rows], tmp_path)
    assert (values[:20, AU12] == 0).all()
    assert (values[20:, AU12] > 2).all()
