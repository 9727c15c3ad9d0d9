"""Films by ranges, and who may see them."""

import pytest

from ttdata.annotate.proxies.make import read_proxy


@pytest.fixture
def film(served) -> bytes:
    return served.app.state.context.films.at(1).proxy.path.read_bytes()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, None),
        ("bytes=5-9", 5, 9),
        ("bytes=-7", -7, None),
        ("bytes=1-999999999", 1, None),
    ],
)
def test_a_range_is_answered_with_it(client, film: bytes, asked: str, first: int, last) -> None:
    answer = client("reviewer").get("/films/1", headers={"Range": asked})
    expected = film[first:] if last is None else film[first : last + 1]
    assert answer.status_code == 206
    assert answer.content == expected
    start = first % len(film)
    assert answer.headers["content-range"] == (
        f"bytes {start}-{start + len(expected) - 1}/{len(film)}"
    )
    assert answer.headers["content-type"] == "video/mp4"


def test_the_whole_film(client, film: bytes) -> None:
    answer = client("reviewer").get("/films/1")
    assert (answer.status_code, answer.content) == (200, film)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("ranges", "status"), [(1, 206), (4, 206), (5, 416), (101, 416), (5000, 416)]
)
def test_many_ranges_are_refused(client, ranges: int, status: int) -> None:
    asked = "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(ranges))
    assert client("reviewer").get("/films/1", headers={"Range": asked}).status_code == status


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=999999999-", 416), ("lines=1-2", 400), ("bytes=b-a", 400)]
)
def test_what_is_no_range_of_the_film(client, asked: str, status: int) -> None:
    assert client("reviewer").get("/films/1", headers={"Range": asked}).status_code == status


def test_an_annotator_sees_the_films_of_his_videos_only(served, client, hand) -> None:
    browser = client("annotator")
    url = (ann := hand(browser)).open() and ann.data()["video"]["url"]
    # By their places nobody finds out where among all his own ones are.
    assert {browser.get(f"/films/{n}").status_code for n in (0, 1, 2, 3)} == {403}
    answer = browser.get(url)
    assert (answer.status_code, url) == (200, f"/films/{ann.assignment}")
    assert answer.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    with served.client("bob") as other:
        assert other.get(url).status_code == 404
    assert client("teacher").get(url).status_code == 404


def test_the_film_is_the_copy_with_numbers(served, client, hand) -> None:
    ann = hand(client("annotator"))
    ann.open()
    video = ann.data()["video"]
    proxy = read_proxy(served.app.state.context.films.at(1).proxy.path)
    assert video == {
        "name": "Video 1",
        "url": f"/films/{ann.assignment}",
        "fps": 30.0,
        "num_frames": proxy.num_frames,
        "width": 48,
        "height": 32,
    }


def test_a_film_that_is_not_ready_is_said_to_be_so(served, client, hand) -> None:
    ann = hand(client("annotator"))
    ann.open()
    served.app.state.context.films.at(1).proxy.path.unlink()
    assert ann.client.get(f"/films/{ann.assignment}").status_code == 503
    answer = ann.client.get(f"/api/assignments/{ann.assignment}/data")
    assert (answer.status_code, "not ready" in answer.json()["error"]) == (503, True)


def test_every_file_of_the_pages_is_there(client) -> None:
    page = client().get("/login").text
    names = {part.split('"')[0] for part in page.split('"/static/')[1:]}
    assert {"site.css", "forms.js", "icon.svg"} <= names
    types = {name: client().get(f"/static/{name}").headers["content-type"] for name in names}
    assert types["forms.js"] == "text/javascript; charset=utf-8"
    assert types["site.css"] == "text/css; charset=utf-8"
    assert types["icon.svg"] == "image/svg+xml"
