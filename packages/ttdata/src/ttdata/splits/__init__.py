"""Clips divided into train, validation and test."""
