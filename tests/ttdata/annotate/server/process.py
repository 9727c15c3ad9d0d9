"""The real server, as the command starts it, in a process of its own."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path


class Process:
    """`ttdata annotate PROJECT serve`; `url` is where it says to go, empty if it ended instead.

    As a context it never outlives it.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "ttdata", "annotate", str(folder), "serve", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.url = ""
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._told.wait(120)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip())
                if found := re.search(r": open (\S+) ", line):
                    self.url = found[1]
                    self._told.set()
        self._told.set()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """As `kill -9`."""
        self.process.kill()
        self.wait()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; gives the exit code."""
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        """The exit code; all that was printed is in `lines`."""
        code = self.process.wait(120)
        self._reader.join(120)
        return code
