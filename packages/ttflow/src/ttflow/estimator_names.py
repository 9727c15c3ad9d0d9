"""Names of the flow estimators; `flow` makes them. Importing this costs nothing."""

from ttdata.errors import InputError

_ALIASES = {"auto": "beyond-pixels", "dis": "dis-medium"}
ON_GPU = ("beyond-pixels", "raft")
"""Those that can run on a GPU."""

NAMES = (*_ALIASES, "dis-ultrafast", "dis-fast", "dis-medium", "farneback", *ON_GPU)
"""What `flow.create` knows."""


def canonical_name(name: str) -> str:
    """The full name of an estimator: `dis` is `dis-medium`, `auto` is `beyond-pixels`.

    Raises:
        InputError: if the name is unknown; lists the known ones.
    """
    if name not in NAMES:
        raise InputError(f"unknown flow estimator {name!r}; known: {', '.join(NAMES)}")
    return _ALIASES.get(name, name)


def uses_gpu(name: str) -> bool:
    """Whether an estimator can run on a GPU; those of OpenCV run on the CPU only."""
    return canonical_name(name) in ON_GPU


def has_weights(name: str) -> bool:
    """Whether an estimator is a network, whose weights the user brings."""
    return canonical_name(name) == "raft"
