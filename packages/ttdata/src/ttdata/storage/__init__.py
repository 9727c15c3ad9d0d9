"""Files on disk: the dataset folder, versioned tables, atomic writing."""
