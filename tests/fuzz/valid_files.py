"""Small valid files of the formats that glee reads, as seeds for damage."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from pympi.Elan import Eaf
from scipy.io import savemat

from glee.fitting.morphable_model.landmark_noise import LandmarkNoise
from glee.fitting.morphable_model.model_file import write_model
from glee.fitting.morphable_model.morphable_model import MorphableModel, SurfacePoints
from glee.model.checkpoint import load_checkpoint
from glee.model.packed_run import pack_run, read_packed_run
from glee.model.prediction.predictions import Predictions, save_predictions
from glee.pipeline.datasets import bp4d
from glee.pipeline.datasets.triplets import TripletTable, encode_triplets
from glee.pipeline.landmarks.refiner.photograph_refiner import SHAPES, Head, write_head

from ..pipeline import test_damaged_files as damaged
from ..pipeline.test_damaged_files import N, lsfm, mesh

SIZE = 48


def small_model(path: Path) -> None:
    """A model file with everything that one can hold."""
    mean, triangles = mesh()
    random = np.random.default_rng(2)
    points = SurfacePoints(
        random.integers(0, N, (68, 3)).astype(np.int32), np.full((68, 3), 1 / 3, np.float32)
    )
    jaw = SurfacePoints(
        random.integers(0, N, (17, 2, 3)).astype(np.int32), np.full((17, 2, 3), 1 / 3, np.float32)
    )
    model = MorphableModel(
        name="small",
        mean=mean.astype(np.float32),
        identity=random.normal(size=(2, N, 3)).astype(np.float32),
        expression=random.normal(size=(2, N, 3)).astype(np.float32),
        expression_names=("jawOpen", "mouthSmileLeft"),
        triangles=triangles.astype(np.int32),
        mirror=np.arange(N, dtype=np.int32),
        parts=np.zeros(len(triangles), np.uint8),
        part_names=("skin",),
        landmarks={"anatomical": points},
        jaw_candidates=jaw,
        curves={"jaw": points},
        uv=np.zeros((N, 2), np.float32),
        masks={"lips": np.zeros(N, np.float32)},
        noise={"dlib": LandmarkNoise(np.zeros((68, 2), np.float32), np.eye(136, dtype=np.float32))},
    )
    write_model(path, model)


def stored_lsfm(path: Path) -> None:
    """As `lsfm`, not compressed, so that damage reaches the elements."""
    from scipy.io import loadmat

    lsfm(path)
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    savemat(path, content, do_compression=False)


def bfm2009(path: Path) -> None:
    mean, triangles = mesh()
    modes = np.random.default_rng(1).normal(size=(3 * N, 4))
    content = {"shapeMU": mean.reshape(-1, 1), "shapePC": modes, "shapeEV": np.ones((4, 1))}
    savemat(path, {**content, "tl": triangles + 1}, do_compression=False)


def stored_npz(path: Path) -> None:
    mean, triangles = mesh()
    modes = np.random.default_rng(1).normal(size=(4, N, 3))
    np.savez(path, mean=mean, identity=modes, triangles=triangles, unit="mm")


def flame(path: Path) -> None:
    mean, triangles = mesh()
    directions = np.random.default_rng(1).normal(size=(N, 3, 302)).astype(np.float32)
    np.savez(path, v_template=mean, shapedirs=directions, f=triangles)


def predictions(path: Path) -> None:
    names = np.array(["AU1", "AU2"])
    save_predictions(
        path,
        Predictions(
            au_names=names,
            shard=np.array(["a/b/000000"] * 3),
            row=np.arange(3),
            subject=np.array(["SN001"] * 3),
            frame_id=np.arange(3),
            labels=np.zeros((3, 2), np.int8),
            probability=np.zeros((3, 2), np.float32),
        ),
    )


def facenet(path: Path) -> None:
    torch.save({"conv2d_1a.conv.weight": torch.zeros(32, 3, 3, 3)}, path)


def photograph_refiner(path: Path) -> None:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    write_head(path, Head(**arrays), {"photographs": 20})


def pts(path: Path) -> None:
    rows = "".join(f"{10 + 3 * i} {20 + i * i % 50}\n" for i in range(68))
    path.write_text(f"version: 1\nn_points: 68\n{{\n{rows}}}\n")


def occurrence(path: Path) -> None:
    rows = [",".join(map(str, [0, *bp4d.AUS]))]
    for frame in range(9):
        rows.append(",".join([str(frame), *("019"[(frame + au) % 3] for au in bp4d.AUS)]))
    path.write_text("\n".join(rows) + "\n")


def intensity(path: Path) -> None:
    path.write_text("".join(f"{frame},{frame % 6}\n" for frame in range(1, 12)))


def spaced_intensity(path: Path) -> None:
    path.write_text("".join(f"{frame:04d}.jpg {frame % 6}\n" for frame in range(12)))


def fec(path: Path) -> None:
    faces = [f"http://x/{i}.jpg,0.1,0.4,0.2,0.6" for i in range(4)]
    votes = ["a,1,b,1,c,2", "a,3,b,2", "a,2"]
    kinds = ["ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET"]
    rows = [
        ",".join([*faces[i : i + 2], faces[-1], kind, vote])
        for i, (kind, vote) in enumerate(zip(kinds, votes, strict=True))
    ]
    path.write_text("\n".join(rows) + "\n")


def urls_csv(path: Path) -> None:
    path.write_text("url,file\nhttp://x/0.jpg,a/0.jpg\nhttp://x/1.jpg,1.jpg\n")


def urls_json(path: Path) -> None:
    path.write_text('{"http://x/0.jpg": "a/0.jpg", "http://x/1.jpg": "1.jpg"}')


def triplets(path: Path) -> None:
    count = 5
    table = TripletTable(
        np.arange(3 * count).reshape(count, 3),
        np.zeros(count, np.int8),
        np.zeros(count, np.int8),
        np.ones((count, 3), np.int16),
        ("ONE_CLASS_TRIPLET",),
    )
    path.write_bytes(encode_triplets({"train": table}))


def cluster(path: Path) -> None:
    lines = ['kind = "slurm"', "cores = 4", 'memory = "8GB"', 'walltime = "01:00:00"']
    path.write_text("format = 1\n[cluster]\n" + "\n".join(lines[1:]) + "\n")


def video(path: Path) -> None:
    random = np.random.default_rng(0)
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 10, (SIZE, SIZE))
    for _ in range(4):
        writer.write(random.integers(0, 255, (SIZE, SIZE, 3), np.uint8))
    writer.release()


def image(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def packed_run(path: Path) -> None:
    """A packed run of one small network."""
    damaged.checkpoint(path.with_name("c.pt"))
    pack_run(path.parent, {"1": load_checkpoint(path.with_name("c.pt"))}, path, "CC0")
    path.with_name("c.pt").unlink()
    read_packed_run(path)


def elan(path: Path) -> None:
    """A coding with a tier of an Action Unit and one of notes on it."""
    document = Eaf()
    document.add_tier("AU12", ann="glee 0123456789abcdef")
    document.add_annotation("AU12", 400, 800, "B")
    document.add_linked_file("file:///a/talk.mp4", "./talk.mp4", "video/mp4")
    document.to_file(str(path))


def boris(path: Path) -> None:
    """BORIS's tabular events."""
    path.write_text(
        "Observation id,Media file name,Subject,Behavior,Modifier #1,Behavior type,Time\n"
        "talk,a/talk.mp4,face 0,AU12,B,START,0.400\ntalk,a/talk.mp4,face 0,AU12,B,STOP,0:01.5\n"
    )


def elan_table(path: Path) -> None:
    """What ELAN exports as tab-delimited text."""
    path.write_text("Tier\tBegin Time - msec\tEnd Time - msec\tAnnotation\nAU12\t400\t800\tB\n")


def coded_frames(path: Path) -> None:
    """A row a frame, some of them not coded."""
    path.write_text("clip,frame,AU12,AU4\ntalk,0,0,1\ntalk,1,3,-1\ntalk,2,3,\nwalk,1,0,0\n")
