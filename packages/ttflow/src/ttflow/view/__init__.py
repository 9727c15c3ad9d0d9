"""Pictures and films of what extraction computes."""
