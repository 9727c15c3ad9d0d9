"""A training step: on tensors, as one CUDA graph, and the crops it reads as one kernel."""
