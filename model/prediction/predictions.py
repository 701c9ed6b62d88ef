"""AU probabilities of frames: computed by a trained network, kept with the frames' keys."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import DataError
from ...fitting.array_files import open_npz
from ...whole_files import write_whole
from ..data.au_dataset import AUFrames, Batch, make_batch
from ..network.glee_net import GLEENet
from .left_out import labels_left_out

PREDICTIONS_FILE = "predictions.npz"
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of n frames for a AUs, beside what they are of.

    Attributes
    ----------
    au_names : (a,) str
        ("AU1", ...).
    shard : (n,) str
        Path below the work folder's shards.
    row : (n,) int64
        In the shard.
    subject : (n,) str
        Name of each frame's subject.
    frame_id : (n,) int64
        The dataset's own number of each frame.
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    probability : (n, a) float32
        Of the final prediction.
    left_out_subject : (m,) str or None
        Of the labelled frames without a usable face, their subjects; None where it is not known.
    left_out_labels : (m, a) int8 or None
        Their labels.
    """

    au_names: npt.NDArray[np.str_]
    shard: npt.NDArray[np.str_]
    row: npt.NDArray[np.int64]
    subject: npt.NDArray[np.str_]
    frame_id: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    probability: npt.NDArray[np.float32]
    left_out_subject: npt.NDArray[np.str_] | None = None
    left_out_labels: npt.NDArray[np.int8] | None = None


def network_input(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Turn a batch into what the network takes.

    Colours stay together in memory as in the crops, which convolutions on CPUs like.

    Parameters
    ----------
    batch : Batch
        b frames.
    device : torch.device
        Of the network.

    Returns
    -------
    image : (b, 3, s, s) float32
        RGB, (value - 127.5) / 128 with changed light.
    f_exp : (b, e) float32
        As fitted, NaN where not.
    """
    image = torch.from_numpy(batch.image).to(device).permute(0, 3, 1, 2)
    gain = torch.from_numpy(batch.gain).to(device)[..., None, None]
    offset = torch.from_numpy(batch.offset).to(device)[..., None, None]
    image = (image.float() - 127.5) / 128 * gain + offset
    return image, torch.from_numpy(batch.f_exp).to(device)


def predict_frames(
    network: GLEENet,
    frames: AUFrames,
    index: npt.NDArray[np.int64],
    *,
    image_size: int,
    device: torch.device | None = None,
    subjects: Iterable[str] | None = None,
) -> Predictions:
    """Predict frames from their centre crops.

    Parameters
    ----------
    network : GLEENet
        Set to evaluation mode.
    frames : AUFrames
        All frames.
    index : (n,) int64
        Of the frames to predict.
    image_size : int
        That the network was built for, pixels.
    device : torch.device, optional
        Of the network; the CPU by default.
    subjects : iterable of str, optional
        Whose frames these are, also where none of a subject's has a usable face.

    Returns
    -------
    Predictions
        Of the n frames.
    """
    device = device or torch.device("cpu")
    network = network.eval()
    probability = []
    with torch.inference_mode():
        for begin in range(0, len(index), _FRAMES_AT_ONCE):
            batch = make_batch(frames, index[begin : begin + _FRAMES_AT_ONCE], image_size)
            final = network(*network_input(batch, device)).final
            probability.append(final.float().sigmoid().cpu().numpy())
    people = frames.subject[index].tolist() if subjects is None else subjects
    lost, lost_labels = labels_left_out(frames, people)
    return Predictions(
        au_names=np.array(frames.au_names),
        shard=np.array([frames.names[i] for i in frames.shard_index[index]], np.str_),
        row=frames.row[index],
        subject=frames.subject[index],
        frame_id=frames.frame_id[index],
        labels=frames.labels[index],
        probability=np.concatenate(probability)
        if probability
        else np.empty((0, frames.labels.shape[1]), "f4"),
        left_out_subject=lost,
        left_out_labels=lost_labels,
    )


def joined_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several subjects.

    Parameters
    ----------
    parts : sequence of Predictions
        Of the same AUs.

    Returns
    -------
    Predictions
        In the order of the parts; the frames left out are not known where one part's are not.
    """
    joined: dict[str, Any] = {"au_names": parts[0].au_names}
    for name in (item.name for item in fields(Predictions) if item.name not in joined):
        arrays = [getattr(part, name) for part in parts]
        known = all(array is not None for array in arrays)
        joined[name] = np.concatenate(arrays) if known else None
    return Predictions(**joined)


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as npz, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    predictions : Predictions
        To write.

    Raises
    ------
    OutputError
        Where they cannot be written.
    """
    buffer = io.BytesIO()
    arrays = {item.name: getattr(predictions, item.name) for item in fields(predictions)}
    known = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(buffer, **known)
    write_whole(path, buffer.getbuffer())


def load_predictions(path: Path) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : Path
        File that `save_predictions` wrote.

    Returns
    -------
    Predictions
        As they were written.

    Raises
    ------
    DataError
        Where the file is missing or damaged.
    """
    try:
        with open_npz(path) as file:
            # Files of before do not hold the frames left out.
            names = [
                item.name
                for item in fields(Predictions)
                if item.default is not None or file.shape(item.name) is not None
            ]
            return Predictions(**{name: file.array(name) for name in names})
    except DataError as error:
        if not path.exists():
            raise DataError(f"{path}: no such predictions; finish the training first") from None
        raise DataError(f"damaged predictions ({error}); train again") from None
