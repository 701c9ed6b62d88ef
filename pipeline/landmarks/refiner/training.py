"""`glee train-landmarks`.

Trains the refiner on renders: `glee train-landmarks`.

The result depends on the options alone: each example has a generator of its own, and a run that
was killed goes on from its last state.

What the refiner is trained for: likely errors, and openings as wide as they are.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....errors import DataError, UsageError
from ....fitting.calibration.calibration import noise_on_renders, samples
from ....fitting.morphable_model.landmark_noise import LandmarkNoise
from ....fitting.morphable_model.model_file import load_model
from ....whole_files import write_whole
from ...cluster.tasks import one_thread
from ..backends import detector_names, largest_face, load_detector
from .augmentation import example
from .network import Refiner, levelled, state_of, write_weights
from .refine import LandmarkRefiner, RefinedDetector
from .renders import BLOCK, RenderFolder, Renders, joined

logger = logging.getLogger(__name__)

STATE_FORMAT = 1
# Of which noise is measured: renders of the same kind as for the other backends, of other faces.
RENDERS, SEED, LEAST_FACES = 360, 69, 40
RATE, DECAY, LARGEST_GRADIENT = 3e-3, 1e-4, 5.0
RISE = 0.04  # share of the steps in which the learning rate rises
WARM_UP = 0.12  # share of the steps without the likelihood
LIKELIHOOD = 0.1  # weight of the likelihood beside the distance
AVERAGE = 0.998  # of the running mean of the parameters, which is what is kept
# Share of the blocks that the first step sees, and share of the steps before all are seen.
FIRST_SHARE, ALL_FROM = 0.3, 0.6
# Share of the steps before painted mouths come in: first the lips, then what lies between them.
MOUTHS_FROM = 0.37
KEEP_EVERY = 250  # steps between two kept states
CHECKED = 1024  # examples of held-out renders


@dataclass(frozen=True)
class TrainOptions:
    """backends: whose landmarks are refined. renders: pictures drawn, in whole blocks, of which
    the first is held out. steps: of `batch` examples. seed: of all.
    """

    backends: tuple[str, ...] = ("mesh",)
    renders: int = 7680
    steps: int = 2700
    batch: int = 48
    seed: int = 20

    def check(self) -> None:
        """Raises UsageError where a value makes no sense."""
        bounds = {"renders": (2 * BLOCK, 10**6), "steps": (1, 10**7), "batch": (2, 4096)}
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} is {getattr(self, name)}; give {low} to {high}")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; give 0 or more")
        for backend in self.backends:
            if backend not in detector_names():
                known = ", ".join(detector_names())
                raise UsageError(f"backend {backend!r} is unknown; known are: {known}")
        if not self.backends or len(set(self.backends)) != len(self.backends):
            raise UsageError("backends: give at least one and none twice")


@dataclass(frozen=True)
class Trained:
    """What a training came to. error: mean distance of the inner 51 on held-out renders, in
    inter-ocular distances, before and after.
    """

    path: Path
    renders: int
    first_error: float
    error: float

    def lines(self) -> tuple[str, ...]:
        """What the command prints."""
        return (
            f"{self.path}: trained on {self.renders} renders",
            f"held-out renders, inner 51: {self.first_error:.4f} before, {self.error:.4f} after",
        )


def train_landmarks(
    output: Path,
    options: TrainOptions,
    *,
    renders_folder: Path | None = None,
    stepped: Callable[[int], None] = lambda steps: None,
) -> Trained:
    """Render, train, measure what errors remain, and write the weights file.

    output: the weights file, ``.npz``. renders_folder: of the renders; None for one beside it.
    stepped: told of so many more steps. Raises UsageError, DataError, OutputError, WeightsError.
    """
    options.check()
    folder = renders_folder or output.with_suffix(".renders")
    renders = RenderFolder(folder, options.seed, options.backends)
    held_out, material = renders.block(0), _Material(renders, options)
    state_path = output.with_suffix(".training")
    with one_thread():
        run = _Run(options)
        run.resume(state_path)
        stepped(run.step)
        while run.step < options.steps:
            run.advance(*_batch(material.at(run.step), options, run.step))
            stepped(1)
            if run.step % KEEP_EVERY == 0:
                write_whole(state_path, run.state())
                error = _check(run.average, held_out, options)[1]
                logger.info("step %d: held-out error %.4f", run.step, error)
        before, after = _check(run.average, held_out, options)
    noise = {name: refined_noise(name, run.average) for name in options.backends}
    write_weights(output, run.average, noise, {**asdict(options), "bf16": run.bf16})
    state_path.unlink(missing_ok=True)
    return Trained(output, options.renders - BLOCK, before, after)


class _Material:
    """The renders that a step learns from: a few blocks at first, all from the middle on.

    So that learning begins before everything is drawn; which renders a step sees depends on the
    options alone.
    """

    def __init__(self, renders: RenderFolder, options: TrainOptions) -> None:
        self._renders, self._options = renders, options
        self._blocks = [renders.block(1)]
        self._joined = self._blocks[0]

    def at(self, step: int) -> Renders:
        """The renders for a step."""
        blocks = -(-self._options.renders // BLOCK) - 1
        part = FIRST_SHARE + (1.0 - FIRST_SHARE) * step / (ALL_FROM * self._options.steps)
        wanted = min(max(round(part * blocks), 1), blocks)
        if wanted != len(self._blocks):
            missing = range(len(self._blocks) + 1, wanted + 1)
            self._blocks += [self._renders.block(block) for block in missing]
            self._joined = joined(self._blocks)
        return self._joined


class _Run:
    """A training between two steps."""

    def __init__(self, options: TrainOptions) -> None:
        torch.manual_seed(options.seed)
        self.options, self.step = options, 0
        self.network = Refiner().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Refiner()
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.99)
        )
        # Only where the processor multiplies such numbers itself is it faster.
        self.bf16 = bool(torch.cpu.get_capabilities().get("amx_bf16", False))

    def advance(self, crops: Tensor, first: Tensor, truth: Tensor) -> None:
        """One step on a batch: see `Refiner.forward`; truth (n, 68, 2) float32, pixels."""
        part = self.step / self.options.steps
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * _schedule(part)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            points, factors = self.network(crops, first)
        total = loss(points, factors, truth, likelihood=LIKELIHOOD * (part >= WARM_UP))
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.step += 1
        self._follow()

    def _follow(self) -> None:
        """Take the network into the running mean, quickly at first."""
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            means, values = self.average.state_dict(), self.network.state_dict()
            for name, mean in means.items():
                now = values[name]
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, 1.0 - keep)
                else:
                    mean.copy_(now)

    def state(self) -> bytes:
        """All that `resume` needs."""
        buffer = io.BytesIO()
        kept = {
            "format": STATE_FORMAT,
            "options": {**asdict(self.options), "backends": list(self.options.backends)},
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(kept, buffer)
        return buffer.getvalue()

    def resume(self, path: Path) -> None:
        """Go on from a kept state, where there is one. Raises UsageError, DataError."""
        if not path.exists():
            return
        try:
            kept: Mapping[str, Any] = torch.load(path, weights_only=True)
            options, step = kept["options"], int(kept["step"])
            if kept["format"] != STATE_FORMAT:
                raise ValueError(f"format {kept['format']}, expected {STATE_FORMAT}")
        except Exception as error:  # torch raises kinds of its own for cut and foreign files
            raise DataError(f"{path}: cannot be read ({error}); remove it to begin anew") from None
        own = {**asdict(self.options), "backends": list(self.options.backends)}
        if options != own:
            raise UsageError(f"{path}: is of {options}, not {own}; remove it to begin anew")
        self.network.load_state_dict(kept["network"])
        self.average.load_state_dict(kept["average"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.step = step


def _schedule(part: float) -> float:
    """Factor on the learning rate: a rise, then half a cosine down to a hundredth."""
    if part < RISE:
        return max(part / RISE, 0.02)
    fall = (part - RISE) / (1.0 - RISE)
    return 0.01 + 0.99 * 0.5 * float(1.0 + np.cos(np.pi * fall))


def _batch(renders: Renders, options: TrainOptions, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """A step's examples, each of a render drawn at random: crops, first landmarks, truth."""
    examples = []
    mouths = step > MOUTHS_FROM * options.steps
    for place in range(step * options.batch, (step + 1) * options.batch):
        rng = np.random.default_rng([options.seed, 5, place])
        index = int(rng.integers(len(renders)))
        examples.append(example(renders, index, rng, mouths=mouths))
    crops = levelled(np.stack([one.crop for one in examples]))
    first = torch.from_numpy(np.stack([one.first for one in examples]))
    truth = torch.from_numpy(np.stack([one.truth for one in examples]))
    return crops, first, truth


def _check(network: Refiner, held_out: Renders, options: TrainOptions) -> tuple[float, float]:
    """Error of the first landmarks and of the refined ones on held-out renders."""
    before, after = [], []
    count = max(CHECKED // options.batch, 1)
    checked = TrainOptions(options.backends, batch=options.batch, seed=options.seed + 1)
    with torch.inference_mode():
        for step in range(count):
            crops, first, truth = _batch(held_out, checked, step)
            before.append(normalised_error(first, truth))
            after.append(normalised_error(network(crops, first)[0], truth))
    return float(torch.cat(before).mean()), float(torch.cat(after).mean())


# Landmarks above and below an opening, or brow and lid: what expression is read from.
GAPS = (
    *((37, 41), (38, 40), (43, 47), (44, 46)),
    *((61, 67), (62, 66), (63, 65), (51, 62), (66, 57)),
    *((19, 37), (21, 39), (22, 42), (24, 44), (17, 36), (26, 45), (33, 51), (48, 54)),
)
# Pixels at which the distance's loss turns from square to linear.
TURN = 1.0
GAP_WEIGHT = 0.5


def likelihood_loss(points: Tensor, factors: Tensor, truth: Tensor) -> Tensor:
    """Mean negative log likelihood of Gaussians, without its constant.

    points, truth: (n, 68, 2), pixels. factors: (n, 68, 2, 2) lower Cholesky factors L of the
    covariances: log |L| + |L^-1 (truth - points)|^2 / 2.
    """
    first, second, corner = factors[..., 0, 0], factors[..., 1, 1], factors[..., 1, 0]
    x, y = (truth - points).unbind(-1)
    u = x / first
    v = (y - corner * u) / second
    negative: Tensor = first.log() + second.log() + 0.5 * (u * u + v * v)
    return negative.mean()


def distance_loss(points: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 of points and of the gaps between them, pixels."""
    upper, lower = (list(side) for side in zip(*GAPS, strict=True))
    gaps = points[:, lower] - points[:, upper]
    true_gaps = truth[:, lower] - truth[:, upper]
    of_points = functional.smooth_l1_loss(points, truth, beta=TURN)
    of_gaps = functional.smooth_l1_loss(gaps, true_gaps, beta=TURN)
    return of_points + GAP_WEIGHT * of_gaps


def loss(points: Tensor, factors: Tensor, truth: Tensor, *, likelihood: float) -> Tensor:
    """Distance and, weighted by `likelihood` (0 in the warm-up), the likelihood.

    The distance stays in: by likelihood alone, points that are sure of themselves too early learn
    from the hard pictures last.
    """
    total = distance_loss(points, truth)
    if likelihood > 0.0:
        total = total + likelihood * likelihood_loss(points, factors, truth)
    else:
        total = total + 0.0 * factors.sum()
    return total


def normalised_error(points: Tensor, truth: Tensor) -> Tensor:
    """Mean distance over the inter-ocular distance, of the inner 51: (n,)."""
    distance: Tensor = torch.linalg.norm(points[:, 17:] - truth[:, 17:], dim=-1).mean(1)
    scale: Tensor = torch.linalg.norm(truth[:, 45] - truth[:, 36], dim=-1)
    return distance / scale


def refined_noise(
    backend: str, network: Refiner, *, renders: int = RENDERS, seed: int = SEED
) -> LandmarkNoise:
    """Bias and covariance of a backend's refined landmarks against the model's own 68 points.

    network: set to evaluation. Raises DataError where hardly a face is found.
    """
    model = load_model()
    detector = RefinedDetector(load_detector(backend), LandmarkRefiner(state_of(network)))
    found = samples(model, largest_face(detector), renders, seed)
    if len(found) < LEAST_FACES:
        raise DataError(
            f"{backend}: with the refiner the face is found in {len(found)} of {renders} renders, "
            f"{LEAST_FACES} are needed; train with more renders or steps"
        )
    return noise_on_renders(model, "anatomical", found)
