"""Which frames an identity is taken from."""

from __future__ import annotations

import av
import numpy as np

from glee.pipeline.analysis import face_stream
from glee.pipeline.analysis.face_stream import StreamOptions, sample_stream
from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames

FRAMES, SAMPLE = 60, 4


class FindsNothing:
    """A backend that counts what it is shown."""

    name, version = "nothing", "1"

    def __init__(self):
        self.seen = []

    def detect(self, image, *, thorough=False):
        self.seen.append(int(image.mean()))
        return []


def grey_clip(tmp_path, key_every):
    """A video whose grey level rises by 4 a frame."""
    path = tmp_path / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.options = {"x264-params": f"keyint={key_every}:scenecut=0"}
        for number in range(FRAMES):
            grey = np.full((64, 64, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return Clip("test", "grey", "grey", tmp_path, path)


def sampled(clip):
    backend = FindsNothing()
    stream = sample_stream(clip, index_frames(clip), IrisDetector(backend), StreamOptions(), SAMPLE)
    frames = [face.frame for face in stream]
    shown = np.array(backend.seen).reshape(len(frames), -1)[:, 0]
    assert np.abs(shown - 4 * np.array(frames)).max() <= 3
    return frames


def test_frames_of_a_short_video_lie_evenly(tmp_path):
    assert sampled(grey_clip(tmp_path, 25)) == [0, 20, 39, 59]


def test_of_a_long_video_key_pictures_are_taken(tmp_path, monkeypatch):
    """Parts begin at 0, 15, 30 and 45; the third has no key picture."""
    monkeypatch.setattr(face_stream, "_SEEK", 1)
    assert sampled(grey_clip(tmp_path, 25)) == [0, 25, 30, 50]


def test_a_long_video_is_read_through_where_seeking_would_decode_more(tmp_path, monkeypatch):
    monkeypatch.setattr(face_stream, "_SEEK", 1)
    assert sampled(grey_clip(tmp_path, 250)) == [0, 20, 39, 59]
