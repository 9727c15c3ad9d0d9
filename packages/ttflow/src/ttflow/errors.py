"""Errors of preprocessing; each is a `ttdata.errors.TTError` with its exit code.

InputError (2)
|-- ShardError          a shards folder is missing, damaged, or was made with another configuration
`-- PoseUnavailable     pose lacks its runtime or its weights, or the weights are unknown
TTError (1)
`-- ExtractError        some videos could not be processed; failures.jsonl says which and why
"""

from ttdata.errors import InputError, TTError


class ShardError(InputError):
    """A shards folder is missing, damaged, or was made with another configuration."""


class ExtractError(TTError):
    """Some videos could not be processed; `failures.jsonl` says which and why."""


class PoseUnavailable(InputError):
    """Pose needs its runtime or its weights, which are missing or not the known ones."""
