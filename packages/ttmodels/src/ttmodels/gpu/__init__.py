"""Layers as Triton kernels."""
