"""What a trained network is worth: scores, metrics, calibration."""
