"""Evaluation of a trained network: scores, metrics, calibration."""
