"""The variational flow as Triton kernels."""
