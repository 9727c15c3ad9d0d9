"""The databases of a project: events, what follows from them, one writer."""
