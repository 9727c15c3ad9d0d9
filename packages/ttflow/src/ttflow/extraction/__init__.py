"""A video to the rows of its clips, streaming."""
