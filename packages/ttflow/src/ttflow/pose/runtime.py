"""A network in LiteRT on one thread: the only module that knows the runtime."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ttflow.errors import PoseUnavailable

_CHATTER = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


class Network:
    """A network of one input; calling it gives its outputs by name, without the batch."""

    def __init__(self, content: bytes, name: str) -> None:
        """Load a network.

        Args:
            content: of a .tflite file.
            name: of the file, for messages.

        Raises:
            PoseUnavailable: if the runtime is not installed or cannot read the content.
        """
        check_runtime()
        from ai_edge_litert.interpreter import Interpreter

        with _without_chatter():
            try:
                self._interpreter = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise PoseUnavailable(f"{name}: not a network of LiteRT ({reason})") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {
            each["name"]: each["index"] for each in self._interpreter.get_output_details()
        }

    def __call__(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run it on (H, W, 3) float32 pixels; the outputs are copies."""
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()
        }


def check_runtime() -> None:
    """Check that LiteRT is installed, without loading it.

    Raises:
        PoseUnavailable: if it is not.
    """
    if find_spec("ai_edge_litert") is None:
        raise PoseUnavailable(
            "pose needs ai-edge-litert: pip install 'ttflow[pose]', then `ttflow fetch-pose`"
        )


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the runtime's line about its delegate from standard error; all else comes through.

    The runtime writes it in C++, past Python, and has no setting for it.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if line.rstrip() != _CHATTER:
                    os.write(2, line)
