"""Video files: their facts and their frames."""
