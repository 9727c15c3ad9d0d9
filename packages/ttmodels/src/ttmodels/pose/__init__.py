"""Landmarks of a person over time: their normalisation, and the network that reads them."""
