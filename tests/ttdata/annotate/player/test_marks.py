"""Marks, labels, keys and spans in the browser's modules: no film, a blank page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ttdata.taxonomy import TTSTROKE21, Taxonomy

pytestmark = pytest.mark.slow
SEQUENCES = Path(__file__).with_name("sequences.js")


@pytest.fixture(scope="module")
def blank(browser: Any, proxies: Any) -> Iterator[Any]:
    import sys

    sys.path.append(str(Path(__file__).parent))
    from served import Served, serving

    with serving(Served(proxies["constant"])) as served:
        page = browser.new_page()
        page.goto(f"{served.url}blank.html")
        yield page
        page.close()


def run(page: Any, body: str, *arguments: Any) -> Any:
    """The value of a function's body, with all modules at hand; `log` collects events."""
    names = ("marks", "labels", "keys", "seen", "lanes", "uuid")
    imports = "".join(f'const {name}Module = await import("/static/{name}.js");' for name in names)
    return page.evaluate(
        f"async (given) => {{ {imports} const log = []; "
        "const make = (marks = [], numFrames = 1000) => new marksModule.Marks("
        "{ numFrames, fps: 100, marks, emit: (event) => log.push(event) });"
        f"{body} }}",
        list(arguments),
    )


def test_random_sequences_leave_no_impossible_mark(blank: Any) -> None:
    found = blank.evaluate(SEQUENCES.read_text(encoding="utf-8"), [1000, 60])
    assert found["faults"] == []
    assert found["made"] > 1000
    assert found["dones"] > 50
    assert found["undone"] > 1000


def test_bounds_and_label_begin_empty_and_are_told(blank: Any) -> None:
    log, mark, why = run(
        blank,
        """const marks = make();
        const why = [marks.done(), marks.setLast(150), marks.done(), marks.setStart(100),
          marks.setLabel("Push"), marks.done()];
        const { start_frame, end_frame, label, revision } = marks.selected;
        return [log.map(({ base_revision, body }) => [base_revision, body]), [start_frame,
          end_frame, label, revision], why];""",
    )
    assert mark == [100, 151, "Push", 3]
    bounds = {"end_frame": 151, "from_first_frame": False}
    assert log == [
        [None, {"kind": "done"}],
        [None, {"kind": "mark_made", "start_frame": None, "label": None, **bounds}],
        [1, {"kind": "bounds_changed", "start_frame": 100, **bounds}],
        [2, {"kind": "label_set", "label": "Push"}],
        [None, {"kind": "done"}],
    ]
    assert why[2].startswith("1 mark lacks a bound or label")
    assert [text for place, text in enumerate(why) if place != 2] == [None] * 5


def test_impossible_bounds_are_refused(blank: Any) -> None:
    assert run(
        blank,
        """const marks = make();
        marks.setStart(100);
        const why = [marks.setLast(99), marks.setLast(1000), marks.setLast(100),
          marks.setStart(101), marks.setStart(1000)];
        const { start_frame, end_frame } = marks.selected;
        return [why, start_frame, end_frame, log.length];""",
    ) == [
        [
            "That is before this mark's start.",
            "That is not in the video.",
            None,
            "That is after this mark's end.",
            "That is not in the video.",
        ],
        100,
        101,
        2,
    ]


def test_a_start_beyond_a_finished_mark_begins_another(blank: Any) -> None:
    assert run(
        blank,
        """const marks = make();
            marks.setStart(0); marks.setLast(49); marks.setLabel("Push");
            marks.setStart(50);
            return marks.all.map(({ start_frame, end_frame }) => [start_frame, end_frame]);""",
    ) == [[0, 50], [50, None]]


def test_dragging_and_nudging_stay_within_the_video(blank: Any) -> None:
    assert run(
        blank,
        """const marks = make();
            marks.setStart(10); marks.setLast(20);
            const id = marks.selected.mark_id, found = [];
            const at = () => found.push([marks.selected.start_frame, marks.selected.end_frame]);
            marks.moveBound(id, "start", -50); at(); marks.moveBound(id, "end", 5000); at();
            marks.moveBound(id, "end", 0); at(); marks.nudge("start", 5); at();
              marks.nudge("end", 3); at();
            return found;""",
    ) == [[1, 21], [1, 1000], [1, 2], [1, 2], [1, 5]]


def test_undo_and_redo(blank: Any) -> None:
    assert run(
        blank,
        """const marks = make(), found = [];
        marks.setStart(10); marks.setLast(20); marks.setLabel("Push");
        const at = (why) => found.push([why, marks.all.map((m) => [m.start_frame, m.end_frame,
          m.label])]);
        at(marks.undo()); at(marks.undo()); at(marks.undo()); at(marks.undo());
        at(marks.redo()); at(marks.redo()); marks.setLast(30); at(marks.redo());
        return found;""",
    ) == [
        [None, [[10, 21, None]]],
        [None, [[10, None, None]]],
        [None, []],
        ["There is nothing to undo.", []],
        [None, [[10, None, None]]],
        [None, [[10, 21, None]]],
        ["There is nothing to redo.", [[10, 31, None]]],
    ]


def test_warnings(blank: Any) -> None:
    """At 100 frames a second: 60 and 230 frames are within, a quarter of the shorter one too."""
    assert run(
        blank,
        """const marks = make([], 5000);
        const kinds = (start, last) => { marks.select(null); marks.setStart(start);
          marks.setLast(last);
          return marks.warnings(marks.selected).map(({ kind }) => kind); };
        return [kinds(100, 159), kinds(300, 358), kinds(500, 729), kinds(1000, 1230), kinds(2000,
          2099),
          kinds(2075, 2174), kinds(2149, 2248)];""",
    ) == [[], ["short"], [], ["long"], [], [], ["overlap"]]


def test_a_mark_as_the_server_has_it_replaces_ours(blank: Any) -> None:
    assert run(
        blank,
        """const marks = make();
        marks.setStart(10); const mark_id = marks.selected.mark_id;
        marks.setLast(20); marks.select(null); marks.setStart(500);
        marks.replace({ mark_id, start_frame: 11, end_frame: 30, label: "Loop", removed: false,
          revision: 7 });
        const why = [marks.undo(), marks.undo()];
        marks.select(mark_id); marks.setLabel("Push");
        return [why, marks.all.length, log.at(-1).base_revision];""",
    ) == [[None, "There is nothing to undo."], 1, 7]


def labels(page: Any, taxonomy: Taxonomy, *presses: str) -> list[Any]:
    """Per press the choices before it, `word key` or `(word)` where impossible; then the label."""
    return run(
        page,
        """const labels = new labelsModule.Labels(given[0]);
        const found = []; let chosen = [];
        for (const key of given[1]) {
          found.push(labels.choices(chosen).map(({ word, key,
            possible }) => possible ? `${word} ${key}` : `(${word})`));
          const word = labels.wordOf(chosen, key);
          if (word !== null) chosen = [...chosen, word];
        }
        return [...found, labels.labelOf(chosen)];""",
        taxonomy.model_dump(mode="json"),
        list(presses),
    )


def test_a_label_in_three_keys(blank: Any) -> None:
    assert labels(blank, TTSTROKE21, "o", "f", "h") == [
        ["Defensive d", "Offensive o", "Serve s", "Negative n"],
        ["Backhand b", "Forehand f"],
        [
            *("(Backspin)", "(Block)", "(Push)", "Flip f", "Hit h", "Loop l"),
            *("(Sidespin)", "(Topspin)"),
        ],
        "Offensive Forehand Hit",
    ]
    assert labels(blank, TTSTROKE21, "n")[-1] == "Negative"
    assert labels(blank, TTSTROKE21, "d", "b", "o")[-1] == "Defensive Backhand Block"
    assert labels(blank, TTSTROKE21, "d", "b", "l")[-1] is None  # a loop is not defensive


def test_every_class_of_any_taxonomy_has_keys(blank: Any) -> None:
    names = ["serve", "smash", "slice low", "slice", "drive into the net", "ébloui", "出手"]
    reached = run(
        blank,
        """return given.map((taxonomy) => {
          const labels = new labelsModule.Labels(taxonomy);
          return labels.classes.map(({ label, words }) => {
            let chosen = [];
            for (const word of words) {
              const { key } = labels.choices(chosen).find((choice) => choice.word === word);
              chosen = [...chosen, labels.wordOf(chosen, key)];
            }
            return labels.labelOf(chosen) === label && chosen.length <= 3;
          });
        });""",
        *(t.model_dump(mode="json") for t in (TTSTROKE21, Taxonomy.infer(names))),
    )
    assert reached == [[True] * 21, [True] * 7]


def test_the_keys_of_labels_are_on_every_keyboard(blank: Any) -> None:
    """A Cyrillic keyboard's letters are told by their place, so none of them names a word."""
    taxonomy = Taxonomy.infer(["подача", "накат слева", "出手", "Ébloui", "ökonomisch"])
    keys = run(
        blank,
        """const labels = new labelsModule.Labels(given[0]);
        return labels.levels.flatMap((level) => [...level.values()]);""",
        taxonomy.model_dump(mode="json"),
    )
    assert len(keys) >= 6
    assert all(key in "abcdefghijklmnopqrstuvwxyz0123456789." for key in keys)
    assert {"e", "o"} <= set(keys)


def test_keys_have_names_on_any_keyboard(blank: Any) -> None:
    events = [
        ({"key": "i"}, "i"),
        ({"key": "I", "shiftKey": True}, "i"),
        ({"key": "ArrowLeft", "shiftKey": True}, "Shift+ArrowLeft"),
        ({"key": "?", "shiftKey": True}, "?"),
        ({"key": "z", "ctrlKey": True, "code": "KeyY"}, "Ctrl+z"),
        ({"key": "Z", "metaKey": True, "shiftKey": True}, "Ctrl+Shift+z"),
        ({"key": "ш", "code": "KeyI"}, "i"),
        ({"key": "a", "code": "KeyQ"}, "a"),
        ({"key": "ö", "code": "Semicolon"}, "ö"),
    ]
    given = [event for event, _ in events]
    assert run(blank, "return given[0].map(keysModule.nameOf)", given) == [n for _, n in events]
    actions = run(blank, "return keysModule.BINDINGS.flatMap(({ keys }) => keys)")
    assert len(actions) == len(set(actions))


def test_seen_frames(blank: Any) -> None:
    assert run(
        blank,
        """const seen = new seenModule.Seen(100, 10, [[0, 5]]);
        seen.show(5, false); seen.show(9, true); seen.show(30, true); seen.show(20, true);
          seen.show(22, true);
        const first = [seen.take(), seen.take(), seen.missing, seen.firstGap];
        seen.show(10, false);
        for (let frame = 11; frame < 100; frame += 1) seen.show(frame, true);
        return [first, seen.missing, seen.firstGap];""",
    ) == [[[[5, 10], [30, 31], [20, 23]], [], 86, 10], 0, None]


def test_bars_lie_in_lanes(blank: Any) -> None:
    assert run(
        blank,
        """const bounds = [[0, 10], [5, 8], [6, 20], [7, 9], [10, 12], [30, null], [null, 50]];
        const marks = bounds.map(([start_frame, end_frame]) => ({ start_frame, end_frame }));
        const { bars, longest } = lanesModule.barsOf(marks);
        return [bars.map(({ start, end, lane }) => [start, end, lane]), longest,
          lanesModule.firstInSight(bars, 25, longest)];""",
    ) == [
        [[0, 10, 0], [5, 8, 1], [6, 20, 2], [7, 9, 2], [10, 12, 0], [30, 31, 0], [49, 50, 0]],
        14,
        5,
    ]


def test_uuids(blank: Any) -> None:
    found = run(blank, "return Array.from({ length: 200 }, uuidModule.uuid)")
    assert len(set(found)) == 200
    pattern = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
    import re

    assert all(re.match(pattern, one) for one in found)
