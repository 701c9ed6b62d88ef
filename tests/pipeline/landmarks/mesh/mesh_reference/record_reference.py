"""Records what MediaPipe itself finds, for the tests of the `mesh` detector: run once, by hand.

    python -m venv reference
    reference/bin/pip install "numpy<2" mediapipe==0.10.21 ai-edge-litert
    reference/bin/python record_reference.py REAL_FOLDER PICTURE.npy

REAL_FOLDER: holds single_face.jpg, single_face.mp4 and WolfgangLanger_Pexels.mp4. PICTURE.npy:
(192, 192, 3) uint8 RGB, a render of a face. Writes mediapipe_reference.npz beside this file:

    picture, picture_points (478, 3) crop pixels, picture_presence
    small_picture (128, 128, 3), detector_numbers (224, 16), detector_scores
    (224,): every fourth anchor
    still_frames (n, 2): video number, frame; still_regions (n, 5): centre x, y, width, height,
    radians, pixels; still_points (n, 478, 3) source pixels; still_detections (n, 17): box low and
    high corner, six points, score, pixels
    tracked_frames (m,), tracked_points (m, 478, 3): WolfgangLanger_Pexels.mp4, from frame to frame
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from google.protobuf import text_format
from mediapipe.calculators.core import split_vector_calculator_pb2  # noqa: F401
from mediapipe.calculators.tensor import (  # noqa: F401
    image_to_tensor_calculator_pb2,
    inference_calculator_pb2,
    tensors_to_floats_calculator_pb2,
)
from mediapipe.framework import calculator_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import resource_util
from mediapipe.python._framework_bindings.calculator_graph import CalculatorGraph

VIDEOS = ("single_face.jpg", "single_face.mp4", "WolfgangLanger_Pexels.mp4")
STILLS = [(0, 0), *((1, i) for i in (0, 40)), *((2, i) for i in range(0, 472, 94))]
TRACKED = range(20, 472, 75)
PACKAGE = Path(mp.__file__).parent
MODULES = PACKAGE / "modules"

NETWORK = """
input_stream: "image" output_stream: "landmarks" output_stream: "presence"
node { calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image"
  output_stream: "TENSORS:input" options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192 output_tensor_height: 192
    output_tensor_float_range { min: 0.0 max: 1.0 } } } }
node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:ops" }
node { calculator: "InferenceCalculator" input_side_packet: "OP_RESOLVER:ops"
  input_stream: "TENSORS:input" output_stream: "TENSORS:output"
  options { [mediapipe.InferenceCalculatorOptions.ext] { delegate { xnnpack {} }
    model_path: "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite" } } }
node { calculator: "SplitTensorVectorCalculator" input_stream: "output"
  output_stream: "parts" output_stream: "flag"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 } } } }
node { calculator: "TensorsToFaceLandmarksWithAttention" input_stream: "TENSORS:parts"
  output_stream: "LANDMARKS:landmarks" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:flag"
  output_stream: "FLOAT:presence"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } } }
"""
WHOLE = """
input_stream: "image" output_stream: "landmarks" output_stream: "regions"
output_stream: "detections"
input_side_packet: "faces" input_side_packet: "previous" input_side_packet: "attention"
node { calculator: "FaceLandmarkFrontCpu" input_stream: "IMAGE:image"
  input_side_packet: "NUM_FACES:faces" input_side_packet: "USE_PREV_LANDMARKS:previous"
  input_side_packet: "WITH_ATTENTION:attention" output_stream: "LANDMARKS:landmarks"
  output_stream: "ROIS_FROM_DETECTIONS:regions" output_stream: "DETECTIONS:detections" }
"""


class Graph:
    """A graph that takes images one by one and keeps the last packet of each output."""

    def __init__(self, text: str, outputs: tuple[str, ...], **sides: object) -> None:
        config = text_format.Parse(text, calculator_pb2.CalculatorGraphConfig())
        self.graph = CalculatorGraph(graph_config=config)
        self.found: dict[str, object] = {}
        for name in outputs:
            self.graph.observe_output_stream(name, self.found.__setitem__)
        self.graph.start_run(sides)
        self.time = 0

    def run(self, image: np.ndarray) -> dict[str, object]:
        """Packets of an RGB image's outputs."""
        self.found.clear()
        packet = packet_creator.create_image_frame(
            image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        self.graph.add_packet_to_input_stream("image", packet.at(self.time))
        self.time += 33333
        self.graph.wait_until_idle()
        return self.found


def whole_graph(previous: bool) -> Graph:
    """Detector and mesh, as mediapipe.solutions.face_mesh runs them."""
    return Graph(
        WHOLE,
        ("landmarks", "regions", "detections"),
        faces=packet_creator.create_int(1),
        previous=packet_creator.create_bool(previous),
        attention=packet_creator.create_bool(True),
    )


def points_of(marks: object, width: int, height: int) -> np.ndarray:
    """Landmarks (478, 3) in pixels; depth in the unit of x."""
    return np.array([(p.x * width, p.y * height, p.z * width) for p in marks.landmark], np.float32)


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


def networks(picture: np.ndarray) -> dict[str, np.ndarray]:
    """What both networks give for one picture."""
    found = Graph(NETWORK, ("landmarks", "presence")).run(picture)
    small = np.zeros((128, 128, 3), np.uint8)
    small[16:112, 16:112] = picture[::2, ::2]
    path = MODULES / "face_detection/face_detection_short_range.tflite"
    detector = Interpreter(model_path=str(path))
    detector.allocate_tensors()
    detector.set_tensor(
        detector.get_input_details()[0]["index"], np.float32(small[None] / 127.5 - 1.0)
    )
    detector.invoke()
    numbers, scores = (detector.get_tensor(o["index"])[0] for o in detector.get_output_details())
    return {
        "picture": picture,
        "picture_points": points_of(packet_getter.get_proto(found["landmarks"]), 192, 192),
        "picture_presence": np.float32(packet_getter.get_float(found["presence"])),
        "small_picture": small,
        "detector_numbers": numbers[::4],
        "detector_scores": scores[::4, 0],
    }


def still(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Region (5,), points (478, 3) and detection (17,) of one image on its own."""
    height, width = image.shape[:2]
    found = whole_graph(False).run(image)
    region = packet_getter.get_proto_list(found["regions"])[0]
    detection = packet_getter.get_proto_list(found["detections"])[0]
    marks = packet_getter.get_proto_list(found["landmarks"])[0]
    box = detection.location_data.relative_bounding_box
    corners = [(box.xmin, box.ymin), (box.xmin + box.width, box.ymin + box.height)]
    corners += [(p.x, p.y) for p in detection.location_data.relative_keypoints]
    size = np.array([width, height])
    middle = (region.x_center, region.y_center, region.width, region.height)
    return (
        np.array([*(middle * np.tile(size, 2)), region.rotation]),
        points_of(marks, width, height),
        np.array([*(corners * size).ravel(), detection.score[0]]),
    )


def _rounded(points: np.ndarray) -> np.ndarray:
    """To 1 / 128 pixel, which packs well."""
    return np.round(points * 128) / np.float32(128)


def main(real: Path, picture: Path) -> None:
    """Record everything."""
    resource_util.set_resource_dir(str(PACKAGE.parent))
    videos = [read_video(real / name) for name in VIDEOS]
    stills = [still(videos[video][frame]) for video, frame in STILLS]
    regions, points, detections = (
        np.stack(part).astype(np.float32) for part in zip(*stills, strict=True)
    )
    graph, tracked = whole_graph(True), []
    for number, image in enumerate(videos[2]):
        found = graph.run(image)
        if number in TRACKED:
            marks = packet_getter.get_proto_list(found["landmarks"])[0]
            tracked.append(points_of(marks, image.shape[1], image.shape[0]))
    np.savez_compressed(
        Path(__file__).parent / "mediapipe_reference.npz",
        still_frames=np.array(STILLS),
        still_regions=regions,
        still_points=_rounded(points),
        still_detections=detections,
        tracked_frames=np.array(TRACKED),
        tracked_points=_rounded(np.stack(tracked)),
        **networks(np.load(picture)),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
