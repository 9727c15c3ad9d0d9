"""Pose of one person, frame by frame, from pictures alone (specification 2.8)."""
