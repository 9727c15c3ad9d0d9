"""Errors a person can act on; every command prints them in one line.

TTError                 the work failed (exit code 1)
`-- InputError          wrong usage or input (exit code 2)
    |-- AnnotationError     an annotation table or file cannot be read
    |-- DatasetError        a dataset folder is missing, incomplete or inconsistent
    |-- VersionError        a file was written by another version of the schema
    `-- VideoError          a video cannot be opened or decoded
"""


class TTError(Exception):
    """The work failed; the message names what, where and what to do."""

    exit_code = 1


class InputError(TTError):
    """Wrong usage or input: the message names the value found and the one expected."""

    exit_code = 2


class AnnotationError(InputError):
    """An annotation file cannot be read."""


class DatasetError(InputError):
    """A dataset folder is missing, incomplete or inconsistent."""


class VersionError(InputError):
    """A file carries a schema version this release does not read."""


class VideoError(InputError):
    """A video cannot be opened or decoded."""
