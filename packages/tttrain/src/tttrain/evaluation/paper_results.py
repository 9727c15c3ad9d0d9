"""What the paper reports, for the reference columns."""

PAPER: dict[str, tuple[float | None, float | None, float | None]] = {
    "siamese": (0.879, 0.888, 0.897),
    "siamese_no_augmentation": (0.879, 0.888, 0.914),
    "rgb": (0.785, 0.785, 0.819),
    "flow": (0.44, 0.44, 0.448),
    "early": (0.733, 0.741, 0.75),
    "late": (0.577, 0.595, 0.707),
    "i3d_rgb": (0.405, None, None),
    "i3d_flow": (0.302, None, None),
    "i3d_two_stream": (0.431, None, None),
}
"""Test, TestVote, TestAvg of table II by row, on the paper's own 116 test clips of 21 classes."""
