"""Loops over the pixels of working frames, compiled by numba.

Loaded where a video is read, not with the package: numba takes half a second.
"""
