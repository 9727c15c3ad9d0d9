"""No command changes what it reads, whatever its output is called."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import ttdata.cli
import ttflow.cli
import tttrain.cli
from ttdata.commands.curate import curate_source
from ttdata.errors import InputError
from ttdata.schema import CurationConfig
from ttdata.sources.conversion import convert_source

APPS = {"ttdata": ttdata.cli.app, "ttflow": ttflow.cli.app, "tttrain": tttrain.cli.app}
MARKS = "video_id,annotator_id,start_frame,end_frame,label\nm1,a,10,40,Loop\nm1,a,50,80,Push\n"

COMMANDS = {
    "curate": ("ttdata curate src --set window_frames=16 --taxonomy infer --out", ["src"]),
    "curate a file": (
        "ttdata curate src/annotations.csv --taxonomy infer --set window_frames=16 --out",
        ["src/annotations.csv", "src/videos"],
    ),
    "curate by settings": ("ttdata curate src --config curation.json --out", ["curation.json"]),
    "convert": ("ttdata convert src --to crowd", ["src"]),
    "convert to eaf": ("ttdata convert elan/m1.eaf --to eaf", ["elan/m1.eaf"]),
    "review": ("ttdata review ds --out", ["ds", "ds/reviews.csv"]),
    "review, decided": ("ttdata review ds --decisions todo.csv --out", ["ds", "todo.csv"]),
    "extract": ("ttflow extract ds --out", ["ds"]),
    "pose": ("ttflow pose --dataset ds", ["ds"]),
    "view shards": ("ttflow view shards --out", ["shards"]),
    "fit": ("tttrain fit --recipe demo --data shards --out", ["shards"]),
    "compare": ("tttrain compare --data shards --out", ["shards"]),
    "index": ("tttrain index run match.mp4 --out", ["run", "match.mp4"]),
    "index dataset": ("tttrain index run ds --out", ["run", "ds"]),
    "index folder": ("tttrain index run src --out", ["run", "src"]),
    "predict": ("tttrain predict run shards --out", ["run", "shards"]),
    "quality": (
        "tttrain quality shards --references marks.csv --out",
        ["shards", "marks.csv"],
    ),
    "quality without pages": (
        "tttrain quality shards --no-pages --references marks.csv --out",
        ["shards", "marks.csv"],
    ),
    "quality, suggested": (
        "tttrain quality shards --suggest-references --out",
        ["shards"],
    ),
    "predict a video": (
        "tttrain predict run match.mp4 --strokes marks.csv --out",
        ["run", "match.mp4", "marks.csv"],
    ),
}
REFUSED = "is what is read|, which is read|belongs to|expected a .* or a new folder"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, write_small_video) -> Path:
    """A folder with one of everything; runs and shards are only described, for no one reads on."""
    at = tmp_path_factory.mktemp("outputs") / "work"
    write_small_video(at / "src" / "videos" / "m1.mp4")
    (at / "src" / "annotations.csv").write_text(MARKS)
    config = CurationConfig(window_frames=16)
    curate_source(at / "src", at / "ds", config, taxonomy="infer")
    convert_source(at / "src", at / "elan", "eaf")
    (at / "curation.json").write_text('{"window_frames": 16}')
    (at / "todo.csv").write_text("video_id,start_frame,end_frame,decision\nm1,10,40,drop\n")
    (at / "marks.csv").write_text(MARKS)
    shutil.copy(at / "src" / "videos" / "m1.mp4", at / "match.mp4")
    for folder, names in {"shards": ("shards.json", "dataset.json"), "run": ("run.json",)}.items():
        (at / folder / "parts").mkdir(parents=True)
        for name in names:
            (at / folder / name).write_text("{}")
    for name in ("src", "ds", "elan", "shards", "run"):
        (at / f"{name}_link").symlink_to(name)
    (at.parent / "way").symlink_to("work")
    return at


@pytest.fixture(scope="module")
def write_small_video():
    """A function that writes 100 frames of 48 x 32 px."""
    import av
    import numpy as np

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
            stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
            for index in range(100):
                picture = np.full((32, 48, 3), index, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())

    return write


@contextlib.contextmanager
def copied(work: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the folder, which is the working folder for as long."""
    at = tmp_path / "copy" / "work"
    shutil.rmtree(at.parent, ignore_errors=True)
    shutil.copytree(work, at, symlinks=True)
    (at.parent / "way").symlink_to("work")
    with contextlib.chdir(at):
        yield at


def content(path: Path) -> dict[str, bytes]:
    """Every file of an input."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


RELATIONS = ("equal", "new inside", "known inside", "around", "far around")
SPELLINGS = ("relative", "absolute", "dotted", "by a link", "linked folder", "other case")


def place(at: Path, read: str, relation: str) -> str:
    inside = sorted(path.name for path in (at / read).iterdir()) if (at / read).is_dir() else ()
    return {
        "equal": read,
        "new inside": f"{read}/new.csv",
        "known inside": f"{read}/{inside[0]}" if inside else read,
        "around": str(Path(read).parent),
        "far around": "..",
    }[relation]


def spelt(at: Path, path: str, spelling: str) -> str:
    first, _, rest = path.partition("/")
    return {
        "relative": path,
        "absolute": str(at / path),
        "dotted": f"src/../{path}",
        "by a link": str(at.parent / "way" / path),
        "linked folder": f"{first}_link/{rest}" if (at / f"{first}_link").exists() else path,
        "other case": path.swapcase(),
    }[spelling]


def same_place(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and os.path.samefile(one, other)


@given(
    command=st.sampled_from(sorted(COMMANDS)),
    which=st.integers(0, 2),
    relation=st.sampled_from(RELATIONS),
    spelling=st.sampled_from(SPELLINGS),
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_command_changes_what_it_reads(
    work: Path, tmp_path: Path, command: str, which: int, relation: str, spelling: str
) -> None:
    line, inputs = COMMANDS[command]
    with copied(work, tmp_path) as at:
        read = inputs[which % len(inputs)]
        path = place(at, read, relation)
        out = spelt(at, path, spelling)
        elsewhere = spelling == "other case" and not same_place(Path(out), at / path)
        if elsewhere and not line.startswith("ttdata"):
            return  # another folder, where the work would begin
        program, *words = line.split()
        before = {name: content(at / name) for name in inputs}
        result = CliRunner().invoke(APPS[program], [*words, out])
        assert {name: content(at / name) for name in inputs} == before or (
            # A new folder: the decisions were taken, as they should be.
            elsewhere and command == "review, decided"
        )
        free = elsewhere or command in ("curate by settings", "view shards")
        if not free:
            assert isinstance(result.exception, InputError), (out, result.output)
            assert "\n" not in str(result.exception)
            # What is no name of a table or list is refused for its name alone.
            named = "expected a .json or .csv file" in str(result.exception)
            assert named or re.search(REFUSED, str(result.exception))


KINDS = {"src": "a source", "ds": "a dataset", "shards": "shards", "run": "a run"}


@pytest.mark.parametrize("folder", sorted(KINDS))
@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("ttdata synth", None),
        ("ttdata curate elan --format eaf --out", "ds"),
        ("ttflow extract other --out", "shards"),
        ("ttflow pose --dataset other", "shards"),
        ("tttrain fit --recipe demo --data other --out", "run"),
        ("tttrain compare --data other --out", None),
    ],
)
def test_folders_of_another_kind_are_refused(
    work: Path, tmp_path: Path, line: str, own: str | None, folder: str
) -> None:
    if folder == own:
        return
    with copied(work, tmp_path) as at:
        shutil.copytree("ds" if "extract" in line else "shards", "other")
        before = content(at)
        program, *words = line.split()
        result = CliRunner().invoke(APPS[program], [*words, folder])
        assert isinstance(result.exception, InputError)
        assert f"{folder}: holds {KINDS[folder]}, expected" in str(result.exception)
        assert content(at) == before
