"""Every parser of files that others may have made: a valid file, and how glee reads it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glee.fitting.importers.bfm import read_bfm2009, read_bfm2017
from glee.fitting.importers.flame import read_flame
from glee.fitting.importers.generic_npz import read_generic_npz
from glee.fitting.importers.lsfm import read_lsfm
from glee.fitting.importers.meshes import read_obj, read_obj_vertices, read_ply_vertices
from glee.fitting.importers.user_files import read_landmarks
from glee.fitting.morphable_model.model_file import read_model
from glee.model.checkpoint import load_checkpoint
from glee.model.network.build_glee_net import read_weights
from glee.model.packed_run import read_packed_run
from glee.model.prediction.predictions import load_predictions
from glee.pipeline.clips import Clip
from glee.pipeline.cluster.options import OPTIONS_FILE, read_cluster_options
from glee.pipeline.datasets import bp4d, disfa, disfa_plus
from glee.pipeline.datasets.downloaded_images import read_url_table
from glee.pipeline.datasets.fec import parse_row
from glee.pipeline.datasets.label_files import read_intensity, read_occurrence
from glee.pipeline.datasets.label_rows import table_lines
from glee.pipeline.datasets.triplets import read_triplets
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.refiner.photograph_refiner import read_head
from glee.pipeline.landmarks.refiner.photographs import read_pts
from glee.pipeline.shards.shard import read_shard
from glee.pipeline.work_folder import read_options
from glee.reports.coding.coding_files import read_codings

from ..pipeline import test_damaged_files as damaged
from . import valid_files as valid
from .containers import model_right, shard_right, zip_right

# Modules whose lines count as coverage; kernels of Numba are left out, which cannot be followed.
FOLLOWED = (
    "fitting.array_files",
    "fitting.mat_files",
    "fitting.morphable_model.model_file",
    "fitting.morphable_model.morphable_model",
    "fitting.importers.bfm",
    "fitting.importers.bfm",
    "fitting.importers.flame",
    "fitting.importers.generic_npz",
    "fitting.importers.user_files",
    "fitting.importers.lsfm",
    "fitting.importers.meshes",
    "fitting.importers.meshes",
    "fitting.importers.raw_model",
    "model.checkpoint",
    "model.network.build_glee_net",
    "model.packed_run",
    "model.prediction.predictions",
    "reports.coding.coding_files",
    "reports.coding.coding_tables",
    "reports.coding.human_coding",
    "pipeline.cluster.options",
    "pipeline.images.crops",
    "pipeline.datasets.disfa",
    "pipeline.datasets.disfa_plus",
    "pipeline.datasets.downloaded_images",
    "pipeline.datasets.label_files",
    "pipeline.datasets.fec",
    "pipeline.datasets.label_files",
    "pipeline.images.frames",
    "pipeline.images.image_header",
    "pipeline.lost_frames",
    "pipeline.shards.hdf5",
    "pipeline.shards.layout",
    "pipeline.shards.shard",
    "pipeline.datasets.triplets",
    "pipeline.video",
    "pipeline.video_index",
    "pipeline.video_listing",
    "pipeline.video_rows",
    "pipeline.work_folder",
)


@dataclass(frozen=True)
class Target:
    """One parser. write: a valid file. read: it, any way that glee does. right: mends checksums."""

    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], Any]
    right: Callable[[bytes], bytes] = bytes


def _shard(path: Path) -> None:
    shard = read_shard(path)
    shard.crops()


def _fec(path: Path) -> list[Any]:
    return [parse_row(line) for line in table_lines(path)]


def _frames(path: Path, images: tuple[str, ...] = ()) -> None:
    source = path.parent if images else path
    clip = Clip(
        dataset="folder", subject="s", name="c", root=path.parent, source=source, images=images
    )
    index = index_frames(clip)
    for start in {0, max(index.count - 2, 0)}:
        for _ in read_frames(clip, index, start, min(index.count, start + 2)):
            pass


def _image(path: Path) -> None:
    _frames(path, (path.name,))


def _landmarks(path: Path) -> Any:
    return read_landmarks(path, 68)


TARGETS: dict[str, Target] = {
    "shard": Target("s.h5", damaged.shard, _shard, shard_right),
    "shard-sealed": Target("s.h5", damaged.shard, _shard),
    "model": Target("m.h5", valid.small_model, read_model, model_right),
    "triplets": Target("t.h5", valid.triplets, read_triplets),
    "bfm2017": Target("b.h5", damaged.bfm, lambda path: read_bfm2017(path, 4)),
    "bfm2009": Target("b.mat", valid.bfm2009, lambda path: read_bfm2009(path, 4)),
    "lsfm": Target("l.mat", valid.stored_lsfm, lambda path: read_lsfm(path, 4)),
    "lsfm-packed": Target("l.mat", damaged.lsfm, lambda path: read_lsfm(path, 4)),
    "flame": Target("f.npz", valid.flame, lambda path: read_flame(path, 4), zip_right),
    "npz": Target("n.npz", valid.stored_npz, lambda path: read_generic_npz(path, 4), zip_right),
    "npz-packed": Target("n.npz", damaged.npz, lambda path: read_generic_npz(path, 4)),
    "predictions": Target("p.npz", valid.predictions, load_predictions),
    "obj": Target("o.obj", damaged.obj, lambda path: (read_obj(path), read_obj_vertices(path))),
    "ply": Target("p.ply", damaged.ply, read_ply_vertices),
    "ply-text": Target("p.ply", damaged.ply_text, read_ply_vertices),
    "landmarks-json": Target("l.json", damaged.indices, _landmarks),
    "landmarks-text": Target("l.txt", damaged.indices, _landmarks),
    "landmarks-npy": Target("l.npy", damaged.indices, _landmarks),
    "landmarks-npz": Target("l.npz", damaged.indices, _landmarks, zip_right),
    "disfa": Target("SN001_au1.txt", valid.intensity, lambda p: disfa.read_label_file(p, 1)),
    "disfa-plus": Target(
        "AU1.txt", valid.spaced_intensity, lambda path: disfa_plus.read_label_file(path, 1)
    ),
    "occurrence": Target("o.csv", valid.occurrence, lambda path: read_occurrence(path, bp4d.AUS)),
    "intensity": Target("i.csv", valid.intensity, lambda path: read_intensity(path, 6)),
    "fec": Target("f.csv", valid.fec, _fec),
    "urls-csv": Target("u.csv", valid.urls_csv, read_url_table),
    "urls-json": Target("u.json", valid.urls_json, read_url_table),
    "options": Target(OPTIONS_FILE, damaged.options, lambda path: read_options(path.parent)),
    "cluster": Target("c.toml", valid.cluster, lambda path: read_cluster_options(config=path)),
    "checkpoint": Target("c.pt", damaged.checkpoint, load_checkpoint, zip_right),
    "packed-run": Target("r.zip", valid.packed_run, read_packed_run, zip_right),
    "elan": Target("c.eaf", valid.elan, read_codings),
    "boris": Target("c.csv", valid.boris, read_codings),
    "coded-frames": Target("c.csv", valid.coded_frames, read_codings),
    "elan-table": Target("c.tsv", valid.elan_table, read_codings),
    "facenet": Target("f.pt", valid.facenet, read_weights, zip_right),
    "refiner": Target("r.npz", valid.photograph_refiner, read_head, zip_right),
    "pts": Target("a.pts", valid.pts, read_pts),
    "avi": Target("v.avi", valid.video, _frames),
    "mp4": Target("v.mp4", valid.video, _frames),
    "png": Target("i.png", valid.image, _image),
    "jpeg": Target("i.jpg", valid.image, _image),
    "bmp": Target("i.bmp", valid.image, _image),
    "tiff": Target("i.tiff", valid.image, _image),
}


def followed_functions() -> list[Callable[..., Any]]:
    """The functions and methods of the modules that are followed."""
    found = []
    for name in FOLLOWED:
        try:
            module = importlib.import_module(f"glee.{name}")
        except ModuleNotFoundError:
            continue
        owners = [module, *(v for v in vars(module).values() if inspect.isclass(v))]
        for owner in owners:
            for value in vars(owner).values():
                if inspect.isfunction(value) and value.__module__ == module.__name__:
                    found.append(value)
    return found
