"""The section of docs/benchmarks.md on preprocessing: stages, tracking, workers, crops, stores."""

from __future__ import annotations

from typing import Any

PEERS = {"landmarker": "Face Landmarker", "default": "FaceMesh"}

Table = tuple[list[str], list[list[str]]]


def stages(content: dict[str, Any]) -> Table:
    """Milliseconds of processor time a frame by stage and backend, MediaPipe below."""
    path = content["path"]
    names = list(next(iter(path.values()))["stages"])
    rows = [[stage, *(f"{of['stages'][stage]:.2f}" for of in path.values())] for stage in names]
    rows.append(["**all**", *(f"**{of['ms']:.2f}**" for of in path.values())])
    for name, title in PEERS.items():
        if name in (content["peer"] or {}):
            ms = content["peer"][name]["ms"]
            ratios = (f"{of['ms'] / ms:.2f}" for of in path.values())
            rows.append([f"over MediaPipe's {title}", *ratios])
    return ["CPU, ms a frame", *path], rows


def tracking(content: dict[str, Any]) -> Table:
    """Errors with tracking and without."""
    head = ["backend", "NME tracked", "NME detected anew", "ratio less 1", "apart on real video"]
    rows = [
        [
            name,
            f"{row['nme_tracked']:.4f}",
            f"{row['nme_detected']:.4f}",
            f"{row['ratio']:+.4f}",
            f"{row['real_distance']:.4f}" if "real_distance" in row else "",
        ]
        for name, row in content["tracking"].items()
    ]
    return head, rows


def qualities(content: dict[str, Any]) -> Table:
    """Formats of crops and what they do to landmarks."""
    rows = []
    for name, row in content["storage"]["qualities"].items():
        sizes = [
            f"{row[key]:.2f}" if key in row else "" for key in ("kb", "encode_ms", "decode_ms")
        ]
        moves = [
            " / ".join(f"{row[backend][key]:.2f}" for key in ("mean", "worst", "largest"))
            for backend in ("mesh", "dlib")
        ]
        rows.append([name, *sizes, *moves])
    return ["crop as", "KB", "encode, ms", "decode, ms", "mesh, px", "dlib, px"], rows


def stores(content: dict[str, Any]) -> Table:
    """The same crops in several stores."""
    rows = [
        [
            name,
            f"{row['kb']:.1f}",
            str(row["files"]),
            f"{row['write_per_s']:.0f}",
            f"{row['sequential_per_s']:.0f}",
            f"{row['random_per_s']:.0f}" if row["random_per_s"] else "-",
        ]
        for name, row in content["storage"]["stores"].items()
    ]
    return ["store", "KB a crop", "files", "written/s", "read in order/s", "read at random/s"], rows


def peer_line(content: dict[str, Any]) -> str:
    """What MediaPipe took."""
    peer = content["peer"]
    if not peer:
        return "MediaPipe was not installed for this run; its rows are left out."
    older = (
        f"The older FaceMesh took {peer['default']['ms']:.2f}; `cpu_over_mediapipe` is dlib's "
        "whole path over it."
    )
    if "landmarker" not in peer:
        return f"MediaPipe {peer['version']}, on decoded frames, in the same run. {older}"
    return (
        f"MediaPipe {peer['version']}, on decoded frames, in the same run: Face Landmarker in "
        f"video mode with blendshapes, the networks of `mesh`, took {peer['landmarker']['ms']:.2f} "
        "ms of CPU a frame; landmarks and blendshapes of `mesh` alone took "
        f"{content['path']['mesh']['landmarks_ms']:.2f}. {older}"
    )


def networks(content: dict[str, Any], table: Any) -> list[str]:
    """The networks of `mesh` by engine, and what `glee analyze` takes."""
    if "networks" not in content:
        return []
    found, analyzed = content["networks"], content["analyze"]
    rows = [
        [
            f"{name}, {engine}",
            f"{row['ms']['1']:.2f}",
            f"{row['ms']['8']:.2f}" if "8" in row["ms"] else "",
            f"{row['share_of_peak']:.2f}",
        ]
        for name in found["gflop"]
        for engine in ("ncnn", "torch")
        for row in [found[engine][name]]
    ]
    sizes = ", ".join(f"{name} {gflop:.3f}" for name, gflop in found["gflop"].items())
    read = found["gflop_ncnn"]["blendshapes"]
    return [
        *table(["network", "alone, ms", "of eight together, ms", "share of the peak"], rows),
        "",
        f"A core's peak is what torch's product of matrices reaches, {found['peak_gflops']:.0f} "
        f"GFLOP/s; GFLOP of a run: {sizes} (by ncnn {read:.3f}: what is read). ncnn runs one "
        "picture at a time, so that no result depends on what is computed beside it, and loses "
        "nothing by it. `mesh` includes the visibility of the landmarks.",
        "",
        f"`glee analyze` as a user runs it, on a clip of {analyzed['frames']} frames: "
        f"{analyzed['ms']:.1f} ms of CPU a frame beyond its start of {analyzed['ms_start_s']:.1f} "
        f"s; with the overlay of `--video` {analyzed['overlay_ms']:.1f} ms.",
        "",
    ]


def workers_line(content: dict[str, Any]) -> str:
    """Workers, memory and the long clip."""
    scaling, clip = content["scaling"], content["long"]
    peaks = ", ".join(f"{mb:.0f} MB with {name}" for name, mb in content["worker_mb"].items())
    return (
        f"One worker: {scaling['one_fps']:.0f} frames/s, two: {scaling['two_fps']:.0f}, wall clock "
        f"after {scaling['start_2_s']:.1f} s of starting (one core busy with something else spoils "
        f"this figure). Peak memory of a worker in both stages: {peaks}. A clip of "
        f"{clip['frames']} frames of 320x240 takes {clip['index_s']:.2f} s to index; its chunks "
        f"take {clip['first_ms']:.2f} ms of CPU a frame at the start and {clip['last_ms']:.2f} at "
        f"the end, and from its second chunk to its last the process grows by "
        f"{clip['memory_growth_mb']:.1f} MB."
    )


def preprocess(content: dict[str, Any], table: Any) -> list[str]:
    """All of it. table: makes Markdown of a head and rows."""
    frames = next(iter(content["path"].values()))["frames"]
    return [
        f"`glee preprocess` and `glee fit3d` with one worker on a real video of {frames} frames, "
        "640x360, shards on disk; what a process does once is not counted. The identity in `fit3d` "
        "is found once a subject, so that a longer clip pays less for it a frame.",
        "",
        *table(*stages(content)),
        "",
        peer_line(content),
        "",
        *networks(content, table),
        *table(*tracking(content)),
        "",
        workers_line(content),
        "",
        "What JPEG does to landmarks, pixels of the 200x200 crop, detected in the decoded crop "
        "against the original: mean over all, mean of the landmark that moves most, largest of "
        "all. Noise of one grey level, which no eye sees, moves single landmarks by more than 0.3 "
        "pixels too, so no lossy format can hold every one in every frame: `landmark_change_px` is "
        "the second figure of `mesh` at the default quality, 93.",
        "",
        *table(*qualities(content)),
        "",
        "The same crops in each store, JPEG ones as the same bytes; crops a second of CPU, ending "
        "in pixels, files in the page cache. Shards are checksummed when written and opened, and "
        "one's crops are read together when the first is asked for; zarr compresses pixels by "
        "itself; a WebDataset is read in order only.",
        "",
        *table(*stores(content)),
    ]
