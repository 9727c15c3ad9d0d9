"""Errors of tttrain.

TTError                     see ttdata.errors
`-- TrainingError           training cannot go on (exit code 1)
"""

from ttdata.errors import TTError


class TrainingError(TTError):
    """Training cannot go on; the message says at which clips."""


def reason_of(error: Exception) -> str:
    """The last line of the innermost cause, without Ray's frames round it."""
    inner: BaseException = error
    workers = getattr(error, "worker_failures", None)
    if workers:
        inner = workers[min(workers)]
    while inner.__cause__ is not None:
        inner = inner.__cause__
    lines = [line for line in str(inner).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(inner).__name__
