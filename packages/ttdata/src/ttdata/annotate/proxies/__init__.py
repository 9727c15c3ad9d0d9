"""Copies of videos in which a browser shows exactly the frame that is asked for."""
