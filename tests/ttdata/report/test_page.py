"""The dataset's report: one file, no network, every number as the tables have it."""

import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ttdata.commands.curate import curate_source
from ttdata.report.page import write_report
from ttdata.report.timeline import timelines
from ttdata.storage.dataset import Dataset, load_dataset

LOOP, FLIP = "Serve Forehand Loop", "Offensive Backhand Flip"
VIDEOS = "video_id,fps,num_frames,width,height\n"
ANNOTATION_COLUMNS = "video_id,annotator_id,start_frame,end_frame,label\n"


def make(folder: Path, rows: list[str], videos: list[str]) -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "annotations.csv").write_text(ANNOTATION_COLUMNS + "\n".join(rows) + "\n")
    (source / "videos.csv").write_text(VIDEOS + "\n".join(videos) + "\n")
    return source


class Page(HTMLParser):
    """Tags that are open at the end, addresses, texts, and the bars of all timelines."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.addresses: list[str] = []
        self.bars: list[dict[str, str]] = []
        self.text = ""
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        self.addresses += [values[name] for name in ("src", "href") if name in values]
        if tag == "i" and "left:" in values.get("style", ""):
            self.bars.append(values)
        if tag not in ("meta", "br", "link", "img"):
            self.stack.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data) -> None:
        self.text += " " + data


def numbers(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_numbers_and_bars(tmp_path: Path) -> None:
    rows = [
        f"v,x,100,200,{LOOP}", f"v,y,110,210,{LOOP}", f"v,x,500,600,{LOOP}", f"v,y,500,600,{FLIP}",
        f"v,x,0,300,{LOOP}", f"v,y,900,,{LOOP}",
    ]  # fmt: skip
    curated = curate_source(make(tmp_path, rows, ["v,100,1000,640,360"]), tmp_path / "data")
    assert curated.report == tmp_path / "data" / "report" / "index.html"
    page = Page(curated.report)
    assert page.stack == []
    assert page.addresses == []
    text = numbers(page.text)
    assert "6 annotations" in text
    assert "4 accepted" in text
    assert "1 with an agreed label" in text
    assert f"{FLIP} {LOOP} 1 100.0% of 1" not in text
    assert "50.0% of the 2 actions" in text
    found = {(bar["class"], bar["style"]): bar["title"] for bar in page.bars}
    # The merged action, [105, 205) of 1000 frames; the set-aside one; an annotation without an end.
    assert found["type2", "left:10.5%;width:10.0%"].startswith(f"{LOOP}, not divided; 2 annot")
    assert "set aside" in found["aside", "left:50.0%;width:10.0%"]
    assert found["rejected", "left:90.0%;width:0.3%"].endswith("frames 900 to ?")
    assert "starts at first frame, too long" in found["rejected", "left:0.0%;width:30.0%"]
    assert len(page.bars) == 2 + 6


def test_names_are_text(tmp_path: Path) -> None:
    rows = [f'<script>alert(1)</script>,"a&b""\'",100,200,{LOOP}']
    videos = ["<script>alert(1)</script>,100,1000,640,360"]
    report = curate_source(make(tmp_path, rows, videos), tmp_path / "<b>").report
    page = Page(report)
    assert "script" not in page.stack
    assert "<script>" not in report.read_text()
    assert "<script>alert(1)</script>" in page.text
    assert "a&b\"'" in page.text


@pytest.mark.parametrize("rows", [[f"unknown,x,1,2,{LOOP}"], ["v,x,0,2000,", "v,,,,Smash"]])
def test_a_dataset_of_nothing_has_a_report(tmp_path: Path, rows: list[str]) -> None:
    curated = curate_source(make(tmp_path, rows, ["v,100,1000,640,360"]), tmp_path / "data")
    text = numbers(Page(curated.report).text)
    assert "nothing can be compared" in text
    assert "0 actions merged" in text


def large(folder: Path) -> Dataset:
    """1400 annotations of 129 videos, about as many as the paper had."""
    rows = [
        f"v{i % 129:03},x{k},{100 + 200 * (i // 129)},{200 + 200 * (i // 129) + k},{LOOP}"
        for i in range(700)
        for k in range(2)
    ]
    videos = [f"v{i:03},120,5000,640,360" for i in range(129)]
    return curate_source(make(folder, rows, videos), folder / "data").dataset


def test_as_large_as_the_papers(tmp_path: Path) -> None:
    dataset = large(tmp_path)
    start = time.process_time()
    path = write_report(dataset)
    assert time.process_time() - start < 5
    assert path.stat().st_size < 1_000_000
    page = Page(path)
    assert len(page.bars) == 1400 + 700


def test_only_the_videos_with_most_to_review_are_drawn(tmp_path: Path, monkeypatch) -> None:
    dataset = large(tmp_path)
    monkeypatch.setattr("ttdata.report.timeline.MAX_VIDEOS", 3)
    from ttdata.review.queue import read_review_queue

    queue = read_review_queue(dataset)
    drawn, count = timelines(dataset, queue)
    assert (len(drawn), count) == (3, 129)
    assert "126 videos with fewer items to review" in numbers(Page(write_report(dataset)).text)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it(tmp_path: Path, width: int) -> None:
    """Laid out without a page wider than the window, in under 2 s of its own clock."""
    path = write_report(large(tmp_path))
    probe = (
        "<script>addEventListener('load', () => { const t = performance.now();"
        "document.title = `${document.documentElement.scrollWidth} ${Math.round(t)} ` +"
        "document.querySelectorAll('.track i').length; });</script></body>"
    )
    probed = tmp_path / "probed.html"
    probed.write_text(path.read_text().replace("</body>", probe))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--window-size={width},900", "--virtual-time-budget=5000", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found is not None
    wide, milliseconds, bars = (int(text) for text in found.groups())
    assert wide <= max(width, 500)  # headless windows are never narrower than 500
    assert milliseconds < 2000
    assert bars > 2000


def test_splitting_writes_it_again(tmp_path: Path) -> None:
    from ttdata.commands.split import split_dataset

    large(tmp_path)
    split_dataset(tmp_path / "data", "grouped")
    text = numbers(Page(tmp_path / "data" / "report" / "index.html").text)
    assert "leakage 0.0% of test and validation clips" in text
    assert load_dataset(tmp_path / "data").info.split is not None
