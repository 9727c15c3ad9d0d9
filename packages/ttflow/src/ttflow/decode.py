"""Frames of a video; the decoder is `ttdata.video.decode`, which probing uses as well."""

from ttdata.video.decode import frames as frames

__all__ = ["frames"]
