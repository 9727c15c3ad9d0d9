"""The written source: real H.264, reproducible to the byte, resumable, and refused when foreign."""

import csv
import hashlib
import json
from pathlib import Path

import av
import numpy as np
import pytest

from ttdata.commands.options import parse_size
from ttdata.commands.synth import run_synth
from ttdata.errors import InputError
from ttdata.synth.config import SynthConfig
from ttdata.synth.write import write_source
from ttdata.taxonomy import Taxonomy

TABLES = ("annotations.csv", "taxonomy.json", "truth.csv", "truth_events.csv", "videos.csv")


def tiny(**values: object) -> SynthConfig:
    defaults = {"num_videos": 2, "num_players": 2, "seconds": 3, "width": 160, "height": 90}
    return SynthConfig.model_validate(defaults | values)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "with space é"
    write_source(out, tiny(), num_workers=1)
    return out


def test_files(source: Path) -> None:
    names = set(digests(source))
    assert names == {*TABLES, "synth.json", "videos/video_0000.mp4", "videos/video_0001.mp4"}


def test_videos_are_h264_at_the_asked_rate(source: Path) -> None:
    for row in rows(source / "videos.csv"):
        with av.open(str(source / row["path"])) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert float(stream.average_rate or 0) == float(row["fps"]) == 120.0
            times = [frame.time for frame in container.decode(stream)]
        assert len(times) == int(row["num_frames"]) == 360
        np.testing.assert_allclose(times, np.arange(360) / 120, atol=1e-4)


def test_pixels_survive_encoding(source: Path) -> None:
    from ttdata.synth.plan import plan_video
    from ttdata.synth.render import render

    frames = np.stack([frame.rgb for frame in render(plan_video(tiny(), 0), with_truth=False)])
    # Grey levels: colour is stored at half the resolution.
    drawn = frames.astype(float).mean(axis=-1)
    stored = decoded(source / "videos" / "video_0000.mp4").astype(float).mean(axis=-1)
    assert abs((stored - drawn).mean()) < 2.0
    error = [rms(stored[5:-5] - drawn[5 + late : len(drawn) - 5 + late]) for late in (-1, 0, 1)]
    assert error[1] < 5.0
    assert error[1] == min(error)  # no frame is late


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt((difference**2).mean()))


@pytest.mark.slow
def test_same_seed_same_bytes_with_any_number_of_processes(source: Path, tmp_path: Path) -> None:
    write_source(tmp_path / "again", tiny(), num_workers=2)
    first, again = digests(source), digests(tmp_path / "again")
    assert first == again


def test_other_seed_other_truth(source: Path, tmp_path: Path) -> None:
    write_source(tmp_path / "other", tiny(seed=1), num_workers=1)
    other = digests(tmp_path / "other")
    same = {"taxonomy.json", "videos.csv"}
    assert all(
        other[name] != digest for name, digest in digests(source).items() if name not in same
    )


def test_tables_agree(source: Path, tmp_path: Path) -> None:
    truth, events = rows(source / "truth.csv"), rows(source / "truth_events.csv")
    annotations = {row["annotation_id"]: row for row in rows(source / "annotations.csv")}
    assert truth
    true = {(row["video_id"], row["start_frame"], row["end_frame"], row["label"]) for row in truth}
    told = {
        (row["video_id"], row["true_start_frame"], row["true_end_frame"], row["true_label"])
        for row in events
    }
    assert told == true
    planted = [row for row in events if row["annotation_id"]]
    assert sorted(row["annotation_id"] for row in planted) == sorted(annotations)
    for row in planted:
        annotation = annotations[row["annotation_id"]]
        assert (annotation["video_id"], annotation["annotator_id"]) == (
            row["video_id"],
            row["annotator_id"],
        )
    assert "x_min" not in rows(source / "annotations.csv")[0]
    taxonomy = Taxonomy.model_validate_json((source / "taxonomy.json").read_text())
    assert taxonomy.classes == tiny().taxonomy.classes


def test_a_rerun_keeps_what_is_there_and_renders_what_is_missing(tmp_path: Path) -> None:
    config = tiny(seconds=1)
    write_source(tmp_path / "out", config, num_workers=1)
    first, second = sorted((tmp_path / "out" / "videos").iterdir())
    before, pixels = first.stat().st_mtime_ns, decoded(second)
    second.unlink()
    (tmp_path / "out" / "truth.csv").write_text("broken")
    write_source(tmp_path / "out", config, num_workers=1)
    assert first.stat().st_mtime_ns == before
    np.testing.assert_array_equal(decoded(second), pixels)
    assert rows(tmp_path / "out" / "truth.csv") == []  # a second holds no stroke: the header alone


def test_another_configuration_is_refused(source: Path) -> None:
    before = digests(source)
    with pytest.raises(
        InputError, match=r"seed: there 0, now 3; width: there 160, now 320"
    ) as caught:
        write_source(source, tiny(seed=3, width=320))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"crowd\.missed_rate: there 0\.03, now 0\.1"):
        write_source(source, tiny(crowd={"missed_rate": 0.1}))
    assert digests(source) == before


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty, and no source that synth wrote"):
        write_source(tmp_path, tiny())
    (tmp_path / "synth.json").write_text("{}")
    with pytest.raises(InputError, match=r"not a readable synth\.json"):
        write_source(tmp_path, tiny())
    (tmp_path / "synth.json").write_text(json.dumps({"schema_version": 99, "config": {}}))
    with pytest.raises(InputError, match="schema version 99, expected 1"):
        write_source(tmp_path, tiny())
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "synth.json"}


def test_two_players(tmp_path: Path) -> None:
    config = tiny(players_per_video=2, seconds=4)
    write_source(tmp_path / "out", config, num_workers=1)
    annotations, truth = (
        rows(tmp_path / "out" / "annotations.csv"),
        rows(tmp_path / "out" / "truth.csv"),
    )
    assert {row["player_id"] for row in truth} <= {"player_00", "player_01"}
    assert all(
        0 <= float(row["x_min"]) < float(row["x_max"]) <= 1 for row in (*annotations, *truth)
    )
    assert rows(tmp_path / "out" / "videos.csv")[0]["player_id"] == ""


@pytest.mark.parametrize(
    ("two_players", "tables", "frames"),
    [
        (1, "feb4369f3d29abb8", "1eccaa7eb5ba9847"),
        (2, "17fd853f519ac5bb", "92c00d49a9fbea63"),
    ],
)
def test_strokes_in_a_row_keep_their_bytes(
    two_players: int, tables: str, frames: str, tmp_path: Path
) -> None:
    """Of a release before matches: its folders go on, and everybody's experiments repeat."""
    size = {"num_players": 4, "seconds": 6, "fps": 25, "width": 128, "height": 72}
    config = tiny(players_per_video=two_players, **size)
    write_source(tmp_path / "out", config, num_workers=1)
    written, shown = hashlib.sha256(), hashlib.sha256()
    for name in TABLES:
        written.update((tmp_path / "out" / name).read_bytes())
    for path in sorted((tmp_path / "out" / "videos").iterdir()):
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                shown.update(frame.to_ndarray(format="yuv420p").tobytes())
    assert (written.hexdigest()[:16], shown.hexdigest()[:16]) == (tables, frames)
    stored = json.loads((tmp_path / "out" / "synth.json").read_text())["config"]
    assert not {"matches", "match", "half_annotated_share"} & stored.keys()


def test_matches_have_their_events_and_their_covered_spans(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = {"num_videos": 2, "num_players": 4, "seconds": 20, "fps": 5, "size": "64x64"}
    more = {"matches": True, "rest_share": 0.6, "half_annotated_share": 0.5}
    config = run_synth(out, options=options | more | {"players_per_video": 2})
    assert (config.match.rest_share, config.half_annotated_share) == (0.6, 0.5)
    assert {path.name for path in out.iterdir()} == {
        *TABLES, "synth.json", "videos", "events.csv", "covered.csv",
    }  # fmt: skip
    truth, events = rows(out / "truth.csv"), rows(out / "events.csv")
    assert list(truth[0]) == [
        *("video_id", "start_frame", "end_frame", "label", "player_id"),
        *("x_min", "y_min", "x_max", "y_max"),
    ]
    assert list(events[0]) == [
        *("video_id", "kind", "start_frame", "end_frame", "player_id", "imitates"),
    ]
    assert {row["kind"] for row in events} <= {"rally", "ready", "rest", "pickup", "fake"}
    for row in events:
        assert (row["player_id"] == "") == (row["kind"] == "rally")
        assert (row["imitates"] == "") == (row["kind"] != "fake")
    for video in ("video_0000", "video_0001"):  # strokes and events fill the time of each player
        spans = [row for row in (*truth, *events) if row["video_id"] == video and row["player_id"]]
        total = sum(int(row["end_frame"]) - int(row["start_frame"]) for row in spans)
        assert total == 2 * 100
    covered = rows(out / "covered.csv")
    assert {row["video_id"] for row in covered} == {"video_0000", "video_0001"}
    assert ["0", "100"] in [[row["start_frame"], row["end_frame"]] for row in covered]


def test_one_of_two_players_alone_has_rows_of_the_same_columns(tmp_path: Path) -> None:
    values = {"num_players": 4, "seconds": 20, "fps": 5, "width": 64, "height": 64}
    config = tiny(matches=True, match={"two_players_share": 0.5}, players_per_video=2, **values)
    write_source(tmp_path / "out", config, num_workers=1)
    videos = rows(tmp_path / "out" / "videos.csv")
    assert sorted(row["player_id"] == "" for row in videos) == [False, True]
    alone = next(row["video_id"] for row in videos if row["player_id"])
    for row in rows(tmp_path / "out" / "annotations.csv"):
        assert (row["x_min"] == "") == (row["video_id"] == alone)
        assert row["player_id"] != ""


def test_full_hd(tmp_path: Path) -> None:
    options = {"num_videos": 1, "seconds": 0.25, "size": "1920x1080", "num_players": None}
    config = run_synth(tmp_path / "out", options=options, overrides=["noise=1"])
    assert (config.num_players, config.noise) == (4, 1.0)
    frames = decoded(tmp_path / "out" / "videos" / "video_0000.mp4")
    assert frames.shape == (30, 1080, 1920, 3)


def test_options_become_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "synth config.json"
    path.write_text(json.dumps({"num_videos": 1, "seconds": 0.2, "width": 160, "height": 90}))
    options = {"strokes": "Off. Forehand Hit, serve backhand loop", "seed": 5, "fps": None}
    config = run_synth(tmp_path / "out", path, options, ["crowd.missed_rate=0.2", "crf=30"])
    assert config.strokes == ("Offensive Forehand Hit", "Serve Backhand Loop")
    assert (config.seed, config.crf, config.crowd.missed_rate, config.num_videos) == (5, 30, 0.2, 1)
    with pytest.raises(InputError, match="unknown key 'colour'"):
        run_synth(tmp_path / "bad", overrides=["colour=1"])
    with pytest.raises(InputError, match=r"(?i)unknown stroke 'smash'"):
        run_synth(tmp_path / "bad", options={"strokes": "Smash"})
    for share, message in ((0.5, "add --matches"), (0.3, "without matches=true; add --matches")):
        with pytest.raises(InputError, match=message):
            run_synth(tmp_path / "bad", options={"rest_share": share})
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("text", ["640", "x", "640x", "axb", "640x-360", "6 4x3"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(InputError, match="expected WIDTHxHEIGHT"):
        parse_size(text)
