"""What pages say and draw, without a browser: bars, courses, what repeats, names, escaping."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tttrain.quality.consistency import Progress, icc_2_1
from tttrain.quality.document import Measured, PhaseQuality, Quality, StrokeQuality
from tttrain.quality.reference import Spread
from tttrain.report.quality_pages.against import References, against, band_of
from tttrain.report.quality_pages.bars import Off, Times, off_bar, times_bars
from tttrain.report.quality_pages.content import groups_of_player, listed, page_data
from tttrain.report.quality_pages.names import page_name
from tttrain.report.quality_pages.nearest import references_beside
from tttrain.report.quality_pages.pages import write_quality_pages
from tttrain.report.quality_pages.repeated import repeated
from tttrain.report.quality_pages.sessions import (
    alike,
    courses,
    progress_words,
    told_apart,
    values_of,
)
from tttrain.report.quality_pages.units import UNITS


def spread(**values: Any) -> Spread:
    known = {"n": 6, "sessions": 2, "mean": 0.4, "within": 0.02, "between": 0.0,
             "deviation": 0.02, "degrees": 5.0}  # fmt: skip
    return Spread(**(known | values))


def test_a_band_holds_nineteen_of_twenty() -> None:
    band = band_of("duration_s", spread(), 0.0)
    # Student's t of five degrees leaves 0.05 beyond 2.571.
    assert band == pytest.approx((-0.02 * 2.571, 0.02 * 2.571), abs=1e-5)
    # Times are no surer than frames.
    assert band_of("duration_s", spread(), 0.04) == pytest.approx(
        (-0.04 * 2.571, 0.04 * 2.571), abs=1e-4
    )
    # One-sided: 2.015; a path as the references' is 0.
    assert band_of("residual", spread(), 0.0) == pytest.approx((-0.4, 0.02 * 2.015), abs=1e-5)
    assert band_of("gain", spread(sessions=1), 0.0) is None
    assert band_of("gain", spread(deviation=0.0), 0.0) is None
    assert band_of("gain", None, 0.0) is None


def test_a_mark_says_by_its_shape_what_it_is() -> None:
    inside = off_bar(Off(0.01, (-0.05, 0.05), False, "as they vary, too"))
    assert '<circle class="inside"' in inside
    outside = off_bar(Off(-0.2, (-0.05, 0.05), True, "shorter <b>"))
    assert '<path class="outside"' in outside
    assert 'aria-label="shorter &lt;b&gt;"' in outside
    unknown = off_bar(Off(0.0, None, None, "cannot be told"))
    assert '<path class="unknown" d="M115.0' in unknown  # at the mean, in the middle
    assert "band" not in unknown
    # Less is left of the middle at 120, more right of it; all of it fits.
    (low, wide) = re.search(
        r'rect class="band" x="([\d.]+)" y="5" width="([\d.]+)"', outside
    ).groups()  # type: ignore[union-attr]
    assert float(low) + float(wide) / 2 == pytest.approx(120, abs=0.1)
    (x,) = re.search(r'class="outside" d="M([\d.]+) ', outside).groups()  # type: ignore[union-attr]
    assert 8 <= float(x) < float(low)


def test_phases_stand_with_contact_below_contact() -> None:
    drawn = times_bars(
        [Times("This stroke", (0.2, 0.1, 0.3)), Times("References", (0.4, 0.1, 0.2))],
        ("Backswing", "Forward swing", "Follow-through"),
    )
    bars = re.findall(r'class="phase(\d)" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    ends = [float(left) + float(wide) for number, left, wide in bars if number == "1"]
    (contact,) = re.findall(r'class="contact" x1="([\d.]+)"', drawn)
    assert ends == pytest.approx([float(contact)] * 2, abs=0.2)
    widths = [float(wide) for number, _, wide in bars if number == "0"]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert "This stroke: Backswing 200 ms, Forward swing 100 ms, Follow-through 300 ms" in drawn


def test_what_is_said_of_a_stroke(measurement: Any) -> None:
    quality = measurement.quality
    small = quality.strokes[6]
    shown = against(small, References(quality))
    assert [phase.name for phase in shown.phases] == [
        "Backswing", "Forward swing", "Follow-through", "Whole stroke",
    ]  # fmt: skip
    gain = next(row for row in shown.phases[1].rows if row.name == UNITS["gain"].name)
    assert gain.outside is True
    assert gain.value == pytest.approx("50 %", abs=0) or gain.value in ("49 %", "51 %")
    assert "smaller than in the references, outside ninety-nine of a hundred" in gain.words
    assert gain.difference.startswith("\N{MINUS SIGN}")
    assert shown.words == small.words
    assert shown.cannot_tell == ()
    assert shown.times is not None
    assert "References, mean: Backswing" in shown.times


def test_the_sides_are_those_of_the_film(measurement: Any) -> None:
    quality = measurement.quality
    stroke = quality.strokes[6]
    rows = {}
    for mirrored in (False, True):
        one = stroke.model_copy(update={"mirrored": mirrored})
        phase = against(one, References(quality)).phases[1]
        rows[mirrored] = next(row for row in phase.rows if row.name == UNITS["wrist_x"].name)
    flipped = str.maketrans({"\N{MINUS SIGN}": "+", "+": "\N{MINUS SIGN}"})
    assert rows[True].difference == rows[False].difference.translate(flipped)


def refused(stroke: StrokeQuality, why: str) -> StrokeQuality:
    return stroke.model_copy(update={"phases": (), "moments": {}, "refused": why, "distance": None})


@pytest.mark.parametrize(
    "why",
    [
        "2 references of Push, expected at least 3; mark more",
        "another camera angle: 40 degrees from the nearest references, at most 15",
        "no player was tracked in this clip; look at it with `ttflow view`",
    ],
)
def test_what_is_not_compared_says_why(measurement: Any, why: str) -> None:
    quality = measurement.quality
    stroke = refused(quality.strokes[6], why)
    shown = against(stroke, References(quality))
    assert shown.cannot_tell == (why,)
    assert (shown.phases, shown.times, shown.words) == ((), None, ())
    assert listed(stroke, "").text == f"Not compared: {why}"


def test_one_session_says_that_it_cannot_tell(measurement: Any) -> None:
    quality = measurement.quality
    told = quality.references[0].model_copy(
        update={"cannot_tell": "all references are of one session"}
    )
    one = quality.model_copy(update={"references": (told,)})
    stroke = one.strokes[6]
    phases = tuple(
        phase.model_copy(update={"measures": tuple(
            item.model_copy(update={"outside": None, "chance": None}) for item in phase.measures
        )})
        for phase in stroke.phases
    )  # fmt: skip
    stroke = stroke.model_copy(update={"phases": phases})
    shown = against(stroke, References(one))
    assert shown.cannot_tell == ("all references are of one session",)
    assert all('class="unknown"' in row.bar and "band" not in row.bar
               for phase in shown.phases for row in phase.rows)  # fmt: skip
    assert listed(stroke, "").text == "What is unusual cannot be told"


def test_where_the_hand_is_hidden_is_said_beside_that_nothing_is_outside(measurement: Any) -> None:
    stroke = measurement.quality.strokes[0]
    note = "the hand with the bat is hidden in more than a third of the backswing: look"
    phases = tuple(
        phase.model_copy(update={"measures": tuple(
            item.model_copy(update={"outside": False}) for item in phase.measures
        )})
        for phase in stroke.phases
    )  # fmt: skip
    seen = stroke.model_copy(update={"phases": phases, "notes": ("taken for right-handed",)})
    assert seen.hidden is None
    assert listed(seen, "").text == "Nothing outside of what the references do"
    unseen = seen.model_copy(update={"notes": (*seen.notes, note)})
    assert listed(unseen, "").text == f"Nothing outside of what the references do, but {note}"


def test_the_nearest_reference_is_first(measurement: Any) -> None:
    quality = measurement.quality
    references = References(quality)
    # A stroke that is a reference but for its name is nearest to that.
    twin = quality.strokes[2].model_copy(update={"clip_id": "twin", "is_reference": False})
    assert references_beside(twin, references)[0] == quality.strokes[2].clip_id
    assert len(references_beside(twin, references)) == 6
    # A reference stands beside another one.
    assert quality.strokes[2].clip_id not in references_beside(quality.strokes[2], references)
    # Of one that was not measured nothing is near: they stay in order.
    lost = references_beside(refused(quality.strokes[6], "lost"), references)
    assert lost == [item.clip_id for item in quality.strokes[:6]]


def test_whose_references_a_stroke_has(measurement: Any) -> None:
    quality = measurement.quality.model_copy(update={"by_player": True})
    told = quality.references[0]
    classes = [
        told.model_copy(update={"player_id": name, "clip_ids": clips})
        for name, clips in (
            ("anna", ("a",)),
            ("v", ("b",)),
            ("w\tleft", ("c",)),
            ("w\tright", ("d",)),
        )
    ]
    references = References(quality.model_copy(update={"references": tuple(classes)}))
    for found in classes:  # of an unknown player those of his side of the video
        own = {"player_id": None, "video_id": "w", "compared_with": found.player_id}
        assert references.of(quality.strokes[0].model_copy(update=own)) is found
    nobody = quality.strokes[0].model_copy(update={"compared_with": "w"})
    assert references.of(nobody) is None


def stroke_with(
    outside: float | None, *, mirrored: bool = False, reference: bool = False
) -> StrokeQuality:
    """A stroke whose hand is so far to the right in its measured picture; None: as they vary."""
    item = Measured(name="wrist_x", value=1.0, reference=1.0, difference=outside or 0.01,
                    chance=0.01, outside=outside is not None, words="w")  # fmt: skip
    phase = PhaseQuality(name="forward", start_frame=0, end_frame=1, measures=(item,))
    return StrokeQuality(
        clip_id="c", video_id="v", player_id="p", session_id="s", label="l", start_frame=0,
        end_frame=9, fps=30, is_reference=reference, mirrored=mirrored, phases=(phase,),
    )  # fmt: skip


def test_what_is_outside_again_and_again() -> None:
    right = [stroke_with(0.3), stroke_with(-0.3, mirrored=True), stroke_with(0.3, reference=True)]
    found = repeated([*right, stroke_with(-0.2), stroke_with(None)])
    assert [(item.words, item.outside, item.told) for item in found] == [
        ("hand at contact further to the right", 2, 4)
    ]
    # Two of forty is what chance gives.
    assert repeated([*right[:2], *[stroke_with(None)] * 38]) == []
    assert repeated([]) == []


def course(**values: Any) -> Progress:
    known = {
        "player_id": "p", "label": "l", "phase": "backswing", "measure": "duration_s",
        "sessions": ("monday", "tuesday"), "n": (3, 3), "means": (0.4, 0.45), "variation": 0.05,
        "sem": 0.01, "minimal_change": 0.028, "change": 0.05, "minimal_change_of_means": 0.03,
        "changed": True,
    }  # fmt: skip
    return Progress(**(known | values))


def test_words_of_a_change() -> None:
    assert progress_words(course()) == (
        "Backswing longer by 50 ms since monday: more than chance, which gives up to 30 ms."
    )
    assert progress_words(course(change=-0.02, changed=False)) == (
        "Backswing shorter by 20 ms since monday: no more than chance, which gives up to 30 ms."
    )
    assert progress_words(course(minimal_change_of_means=None, changed=None)).endswith(
        "since monday; whether that is more than chance cannot be told."
    )
    assert progress_words(course(change=-0.0001, changed=False)) == (
        "No difference from monday: no more than chance, which gives up to 30 ms."
    )
    unknown = course(sessions=("monday", "unknown"), change=None, changed=None)
    assert progress_words(unknown) == (
        "The session of some strokes is not known: a change cannot be told."
    )
    one = course(sessions=("monday",), n=(3,), means=(0.4,), change=None)
    assert progress_words(one) == "One session only: a change cannot be told."


def test_the_minimal_detectable_change_is_drawn(measurement: Any) -> None:
    strokes = measurement.quality.strokes[6:]
    (drawn,) = courses([course()], strokes)
    axis = [float(y) for y in re.findall(r'class="mean" cx="[\d.]+" cy="([\d.]+)"', drawn.chart)]
    top, tall = re.search(
        r'class="band" x="\d+" y="([\d.]+)" width="\d+" height="([\d.]+)"', drawn.chart
    ).groups()  # type: ignore[union-attr]
    # About the first mean; the second, 50 ms on, lies above the band of 30 ms.
    assert float(top) + float(tall) / 2 == pytest.approx(axis[0], abs=0.2)
    assert (axis[0] - axis[1]) / (float(tall) / 2) == pytest.approx(0.05 / 0.03, rel=0.02)
    assert drawn.chart.count('class="one"') == 6
    (bare,) = courses([course(minimal_change_of_means=None)], strokes)
    assert "band" not in bare.chart
    assert courses([course(phase="stroke", measure="residual")], strokes) == []


def test_how_alike_strokes_are(measurement: Any) -> None:
    quality = measurement.quality
    (group,) = groups_of_player(quality, References(quality), "anna")
    (gain,) = [row for row in group.alike if "arm's movement" in row.title]
    values = values_of(quality.strokes[:6], "stroke", "gain")
    shares = [np.std(each, ddof=1) / np.mean(each) for each in values.values()]
    assert gain.by_session == tuple(f"{share * 100:.0f} %" for share in shares)
    deviation = np.sqrt(np.mean([np.var(each, ddof=1) for each in values.values()]))
    mean = np.mean(list(values.values()))
    assert gain.whole == f"{deviation / mean * 100:.0f} %"
    assert gain.references == gain.whole  # she is the reference
    assert gain.least.endswith(" %")
    assert alike([course(variation=None)], group.strokes, None) == []
    (row,) = alike([course(minimal_change=None)], group.strokes, None)
    assert (row.references, row.least) == ("not known", "")
    # The hand was hidden on a day: its column is there all the same, before the next one.
    days = ("monday", "sunday", "tuesday")
    shown = [course(sessions=days, measure="duration_s"), course(sessions=days[::2])]
    found = alike(shown, group.strokes, None)
    assert {len(row.by_session) for row in found} == {3}


def test_players_told_apart_by_sessions_they_share(measurement: Any) -> None:
    quality = measurement.quality
    found = {title: (icc, players, sessions)
             for title, icc, players, sessions in told_apart(quality, "Forehand Loop")}  # fmt: skip
    gain = found["Whole stroke: size of the arm's movement"]
    assert gain[1:] == (2, 2)
    assert 0.3 < float(gain[0]) <= 1  # half as large on either day
    assert told_apart(quality, "Push") == []
    alone = [item for item in quality.progress if item.player_id == "anna"]
    assert told_apart(quality.model_copy(update={"progress": tuple(alone)}), "Forehand Loop") == []


def test_players_without_a_session_of_the_others_cost_nobody_the_correlation() -> None:
    means = {
        "anna": {"monday": 0.4, "tuesday": 0.41, "unknown": 9.0},
        "bert": {"monday": 0.6, "tuesday": 0.59, "unknown": 0.1},
        "carl": {"friday": 0.5, "monday": 0.5},
    }
    courses = [
        course(player_id=player, sessions=tuple(own), means=tuple(own.values()), n=(2,) * len(own))
        for player, own in means.items()
    ]
    quality = Quality(
        data="d", references_file="r", coarse=False, by_player=False, references=(), strokes=(),
        progress=tuple(courses),
    )  # fmt: skip
    ((title, icc, players, sessions),) = told_apart(quality, "l")
    assert (title, players, sessions) == ("Backswing: duration", 2, 2)
    assert icc == f"{icc_2_1([[0.4, 0.41], [0.6, 0.59]]):.2f}"
    # Strokes of unknown sessions are no session that two share.
    alone = [item for item in courses if item.player_id != "bert"]
    assert told_apart(quality.model_copy(update={"progress": tuple(alone)}), "l") == []


def test_names_that_differ_in_punctuation_are_two_pages() -> None:
    names = ["O'Brien", "O Brien", "o'brien", "../O'Brien", "O/Brien", "", "Zoë", "a" * 300]
    found = {page_name(name) for name in names}
    assert len(found) == len(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(re.fullmatch(r"[\w-]{1,60}\.[0-9a-f]{8}\.html", name, re.A) for name in found)


def test_pages_without_videos(measurement: Any, tmp_path: Path) -> None:
    quality: Quality = measurement.quality
    missing = ["of 12 strokes it is not known where their videos lie"]
    assert write_quality_pages(tmp_path, quality, {}) == missing
    assert missing[0] in (tmp_path / "index.html").read_text()
    pages = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html"))
    pupil = quality.strokes[6].player_id
    assert pages == sorted([
        "index.html", f"classes/{page_name('Forehand Loop')}",
        f"players/{page_name('anna')}", f"players/{page_name(pupil or '')}",
    ])  # fmt: skip
    for name in pages:
        text = (tmp_path / name).read_text()
        assert '<b>&"x"' not in text  # of the player's name
        assert not re.search(r"https?://", text)
    assert "O&#39;Brien &lt;b&gt;&amp;" in (tmp_path / "index.html").read_text()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.html")}
    write_quality_pages(tmp_path, quality, {})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.html")} == before
    # What a killed process left goes; a player who is no more has no page; what is not ours stays.
    (tmp_path / "players" / "notes.html").write_text("mine")
    (tmp_path / "classes" / ".a.html.0123456789ab.tmp").write_text("half of")
    alone = quality.model_copy(update={"strokes": quality.strokes[:6]})
    write_quality_pages(tmp_path, alone, {})
    left = {path.name for path in (tmp_path / "players").iterdir()}
    assert left == {"notes.html", page_name("anna")}
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_a_page_s_script_knows(measurement: Any) -> None:
    quality = measurement.quality
    references = References(quality)
    pupils = quality.strokes[6:8]
    data = page_data(pupils, references, {pupils[0].clip_id: "film"})
    assert data["order"] == [item.clip_id for item in pupils]
    assert set(data["strokes"]) == {item.clip_id for item in (*quality.strokes[:6], *pupils)}
    one = data["strokes"][pupils[0].clip_id]
    assert one["film"] == "film"
    assert data["strokes"][pupils[1].clip_id]["film"] is None
    assert one["moments"]["contact"] == int(pupils[0].moments["contact"] + 0.5)
    assert data["strokes"][quality.strokes[0].clip_id]["moments"]["contact"] == 50
    lost = page_data([refused(pupils[0], "lost")], references, {})
    assert lost["strokes"][pupils[0].clip_id]["moments"]["contact"] is None
