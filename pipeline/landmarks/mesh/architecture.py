"""Sizes of the `mesh` detector's networks, for whichever engine runs them.

Architecture: the converted models themselves (face_detector.tflite, face_landmarks_detector.tflite
and face_blendshapes.tflite of MediaPipe's face_landmarker.task).
"""

from __future__ import annotations

# Face detector: side of the square image that it takes, pixels; anchors at each cell of its two
# feature maps, and the maps' sides; numbers for an anchor: the box (centre x, y, width, height) and
# six points (x, y), pixels, all but width and height from the anchor.
IMAGE_SIDE = 128
ANCHORS = ((16, 2), (8, 6))
ANCHOR_NUMBERS = 16
# Channels of its stem, and (channels, stride) of the blocks up to each feature map.
DETECTOR_STEM = 24
FINE = (
    *((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2)),
    *((56, 1), (64, 1), (72, 1), (80, 1), (88, 1)),
)
COARSE = ((96, 2), (96, 1), (96, 1), (96, 1), (96, 1))

# Face mesh: side of the square crop, pixels; channels of each stage, from side 128 to side 2;
# blocks in a stage that keep its side (from the second stage on, one that halves it is before
# them).
CROP_SIDE = 256
WIDTHS = (16, 32, 64, 128, 128, 128, 128)
STAGE_BLOCKS = 4
LAST_SIDE = 2

# Visibility: the stages whose features are read, from 0; the blocks of the mesh after which they
# end; features at a landmark, and the head's hidden layer.
SEEN_STAGES = (2, 3, 4)
SEEN_BLOCKS = (13, 18, 23)
SEEN_FEATURES = sum(WIDTHS[stage] for stage in SEEN_STAGES)
SEEN_HIDDEN = 48
# Landmarks of the jaw lie where the face ends; the head looks so much of the way to the nose.
INWARD = 0.12

# Blendshape network: tokens that the points are mixed to, channels of each, the width of the two
# kinds of layers inside a block, and blocks.
TOKENS, CHANNELS = 96, 64
WIDE_TOKENS, WIDE_CHANNELS = 384, 256
MIXER_BLOCKS = 4
# Added to the variance in a normalisation: 1e-6 in float16, as the model has it.
EPSILON = 17 * 2.0**-24
# The points' mean distance from their mean, in the network's unit.
RADIUS = 0.5
