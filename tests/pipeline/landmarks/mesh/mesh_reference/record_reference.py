"""Records what MediaPipe itself finds, for the tests of the `mesh` detector: run once, by hand.

    python -m venv reference
    reference/bin/pip install mediapipe==0.10.21 ai-edge-litert
    reference/bin/python record_reference.py BUNDLE REAL_FOLDER PICTURE.npy

BUNDLE: face_landmarker.task. REAL_FOLDER: holds single_face.jpg, single_face.mp4 and
WolfgangLanger_Pexels.mp4. PICTURE.npy: (192, 192, 3) uint8 RGB, a render of a face. Writes
mediapipe_reference.npz beside this file:

    picture; of it enlarged to 256 pixels (see `enlarged`), by LiteRT: picture_points (478, 3) crop
    pixels, picture_presence before the sigmoid, picture_blendshapes (52,) of its first 146
    points, which are not those that the network was trained for
    small_picture (128, 128, 3), detector_numbers (224, 16), detector_scores
    (224,): every fourth anchor, by LiteRT
    still_frames (n, 2): video number, frame; still_boxes (n, 5): centre x, y, width, height,
    radians, pixels; still_points (n, 478, 3) source pixels; still_blendshapes (n, 52);
    still_scores (n,): by MediaPipe's Face Landmarker, each image on its own
    tracked_frames (m,), tracked_points (m, 478, 3): WolfgangLanger_Pexels.mp4 by the same, from
    frame to frame
    names (52,): of the blendshapes
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from mediapipe.python import packet_creator, packet_getter
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.core.task_info import TaskInfo
from mediapipe.tasks.python.vision.core.base_vision_task_api import BaseVisionTaskApi
from mediapipe.tasks.python.vision.core.vision_task_running_mode import VisionTaskRunningMode

VIDEOS = ("single_face.jpg", "single_face.mp4", "WolfgangLanger_Pexels.mp4")
STILLS = [(0, 0), *((1, i) for i in (0, 40)), *((2, i) for i in range(0, 472, 94))]
TRACKED = range(20, 472, 75)
GRAPH = "mediapipe.tasks.vision.face_landmarker.FaceLandmarkerGraph"
SIDE = 256


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture (192, 192, 3) at 256 pixels, float64: bilinear, exact in eighths."""
    place = np.clip((np.arange(SIDE) + 0.5) * 0.75 - 0.5, 0, len(picture) - 1)
    low = np.minimum(np.floor(place).astype(int), len(picture) - 2)
    part = (place - low)[:, None]
    rows = picture[low] * (1 - part[..., None]) + picture[low + 1] * part[..., None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


class Models:
    """The bundle's models, run by LiteRT."""

    def __init__(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}

    def run(self, name: str, values: np.ndarray) -> list[np.ndarray]:
        """All outputs of one model."""
        model = Interpreter(model_content=self.files[name])
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], np.float32(values[None]))
        model.invoke()
        return [model.get_tensor(output["index"]) for output in model.get_output_details()]


class Landmarker:
    """MediaPipe's Face Landmarker for images on their own, its detections beside its points."""

    def __init__(self, bundle: Path) -> None:
        base = BaseOptions(model_asset_path=str(bundle))
        options = vision.FaceLandmarkerOptions(base_options=base, output_face_blendshapes=True)
        streams = ["NORM_LANDMARKS:points", "BLENDSHAPES:blendshapes", "FACE_RECTS:boxes"]
        info = TaskInfo(
            task_graph=GRAPH,
            input_streams=["IMAGE:image", "NORM_RECT:whole"],
            output_streams=[*streams, "DETECTIONS:detections", "IMAGE:image_out"],
            task_options=options,
        )
        self.task = BaseVisionTaskApi(info.generate_graph_config(), VisionTaskRunningMode.IMAGE)

    def run(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Box (5,), points (478, 3), blendshapes (52,) and score of an image's first face."""
        height, width = image.shape[:2]
        picture = as_image(image)
        whole = self.task.convert_to_normalized_rect(None, picture, roi_allowed=False)
        found: dict[str, Any] = self.task._process_image_data(
            {
                "image": packet_creator.create_image(picture),
                "whole": packet_creator.create_proto(whole.to_pb2()),
            }
        )
        first = {
            name: packet_getter.get_proto_list(found[name])[0]
            for name in ("points", "blendshapes", "boxes", "detections")
        }
        box = first["boxes"]
        middle = (box.x_center, box.y_center, box.width, box.height)
        coefficients = sorted(first["blendshapes"].classification, key=lambda one: one.index)
        return (
            np.array([*(middle * np.tile([width, height], 2)), box.rotation]),
            points_of(first["points"].landmark, width, height),
            np.array([one.score for one in coefficients]),
            np.float64(first["detections"].score[0]),
        )


def as_image(image: np.ndarray) -> mp.Image:
    """An RGB array as MediaPipe takes it."""
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image))


def points_of(landmarks: Any, width: int, height: int) -> np.ndarray:
    """Landmarks (478, 3) in pixels; depth in the unit of x."""
    return np.array([(p.x * width, p.y * height, p.z * width) for p in landmarks], np.float32)


def tracked(bundle: Path, video: list[np.ndarray]) -> tuple[list[np.ndarray], list[str]]:
    """Points of the frames of TRACKED, followed from the first frame on; the blendshapes' names."""
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(bundle)),
        running_mode=VisionTaskRunningMode.VIDEO,
        output_face_blendshapes=True,
    )
    points = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for number, image in enumerate(video):
            found = landmarker.detect_for_video(as_image(image), number * 42)
            if number in TRACKED:
                points.append(points_of(found.face_landmarks[0], image.shape[1], image.shape[0]))
    return points, [one.category_name for one in found.face_blendshapes[0]]


def read_video(path: Path) -> list[np.ndarray]:
    """All frames, RGB."""
    if path.suffix == ".jpg":
        return [cv2.imread(str(path))[..., ::-1]]
    video, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = video.read()
        if not there:
            return frames
        frames.append(frame[..., ::-1])


def networks(models: Models, picture: np.ndarray) -> dict[str, np.ndarray]:
    """What the three networks give for one picture."""
    points, presence, _ = models.run("face_landmarks_detector.tflite", enlarged(picture) / 255)
    points = points.reshape(478, 3)
    (blendshapes,) = models.run("face_blendshapes.tflite", points[:146, :2])
    small = np.zeros((128, 128, 3), np.uint8)
    small[16:112, 16:112] = picture[::2, ::2]
    numbers, scores = models.run("face_detector.tflite", small / 127.5 - 1.0)
    return {
        "picture": picture,
        "picture_points": points,
        "picture_presence": np.float32(presence.item()),
        "picture_blendshapes": blendshapes.ravel(),
        "small_picture": small,
        "detector_numbers": numbers[0, ::4],
        "detector_scores": scores[0, ::4, 0],
    }


def _rounded(points: np.ndarray) -> np.ndarray:
    """To 1 / 128 pixel, which packs well."""
    return np.round(points * 128) / np.float32(128)


def main(bundle: Path, real: Path, picture: Path) -> None:
    """Record everything."""
    videos = [read_video(real / name) for name in VIDEOS]
    landmarker = Landmarker(bundle)
    stills = [landmarker.run(videos[video][frame]) for video, frame in STILLS]
    boxes, points, blendshapes, scores = (
        np.stack(part).astype(np.float32) for part in zip(*stills, strict=True)
    )
    followed, names = tracked(bundle, videos[2])
    np.savez_compressed(
        Path(__file__).parent / "mediapipe_reference.npz",
        still_frames=np.array(STILLS),
        still_boxes=boxes,
        still_points=points,
        still_blendshapes=blendshapes,
        still_scores=scores,
        tracked_frames=np.array(TRACKED),
        tracked_points=_rounded(np.stack(followed)),
        names=np.array(names),
        **networks(Models(bundle), np.load(picture)),
    )


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
