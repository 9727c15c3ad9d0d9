"""What people are asked to decide, and their answers."""
