"""Where files may be: plain paths, file:// URLs, videos behind a web server."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ttdata.errors import InputError, VideoError
from ttdata.urls import local
from ttdata.video.location import fingerprint
from ttflow.decode import frames
from ttflow.jobs.job import Job, Outcome
from ttflow.jobs.worker import watched_job
from ttflow.shards.storage import folder


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A file server that answers requests for ranges of bytes, as web servers do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        first, last = 0, len(data) - 1
        if wanted := self.headers.get("Range"):
            low, _, high = wanted.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, square_video: Path) -> Iterator[str]:
    """The URL of a video on a web server."""
    pytest.importorskip("aiohttp", reason="fsspec opens http:// with aiohttp, an extra of its own")
    shutil.copy(square_video, tmp_path / "square.mp4")
    handler = functools.partial(Ranges, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/square.mp4"
    server.shutdown()
    server.server_close()


def test_folders() -> None:
    assert folder("file:///data/shards") == Path("/data/shards")
    assert folder("shards") == Path("shards")
    with pytest.raises(InputError, match=r"s3://bucket/shards: .* need a mounted file system"):
        folder("s3://bucket/shards")


def test_a_file_url_is_its_path(square_video: Path) -> None:
    url = square_video.as_uri()
    assert local(url) == str(square_video)
    assert fingerprint(url) == fingerprint(square_video)
    assert sum(1 for _ in frames(url)) == 200


def test_a_video_behind_a_web_server(served: str, square_video: Path) -> None:
    assert fingerprint(served) == fingerprint(square_video)
    pairs = zip(frames(served), frames(square_video), strict=True)
    assert all(a[:2] == b[:2] and np.array_equal(a[2], b[2]) for a, b in pairs)


def test_missing_things_are_named(served: str, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"/no\.mp4: cannot be read \(No such file"):
        fingerprint(tmp_path / "no.mp4")
    with pytest.raises(VideoError, match=r"http://127\.0\.0\.1:9/x: cannot be"):
        fingerprint("http://127.0.0.1:9/x")


def test_a_job_on_a_url_writes_the_same_shards(
    lib, served: str, square_video: Path, tmp_path: Path
) -> None:
    from ttflow.shards.intervals import ClipSpec
    from ttflow.shards.layout import prepare_folder

    parts = []
    for number, path in enumerate((served, str(square_video))):
        shards = tmp_path / str(number)
        prepare_folder(shards, lib.small)
        job = Job(
            shards=shards,
            video_id="v",
            path=path,
            key="k" * 16,
            source=(0, ""),
            expected_frames=200,
            clips=(ClipSpec("c", 20, 60),),
            config=lib.small,
        )
        *_, outcome = watched_job(job)
        assert isinstance(outcome, Outcome)
        assert outcome.error is None
        parts.append([path.read_bytes() for path in (shards / "parts").iterdir()])
    assert parts[0] == parts[1]
