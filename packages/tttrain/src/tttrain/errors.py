"""Errors of tttrain.

TTError                     see ttdata.errors
`-- TrainingError           training cannot go on (exit code 1)
"""

from ttdata.errors import TTError


class TrainingError(TTError):
    """Training cannot go on; the message says at which clips."""
