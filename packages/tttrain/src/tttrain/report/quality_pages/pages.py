"""Writes the teacher's pages of measured strokes: a start page, one per player, one per class."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ttdata.storage.html import environment_of, write_page
from ttflow import ClipPose
from tttrain.quality.document import Quality, StrokeQuality
from tttrain.report.quality_pages.against import References, against
from tttrain.report.quality_pages.content import (
    Group,
    groups_of_class,
    groups_of_player,
    listed,
    name_of,
    page_data,
)
from tttrain.report.quality_pages.films import Problem, make_films, remove_other_films
from tttrain.report.quality_pages.names import page_name
from tttrain.report.quality_pages.sessions import told_apart
from tttrain.run import clean_folder, lock_folder

PAGES = ("index.html", "players", "classes", "films")
"""Names of what is written in the folder."""
_TEMPLATES = Path(__file__).parents[1] / "templates"
_PAGE = re.compile(r"^[\w-]+\.[0-9a-f]{8}\.html$")
"""Pages that are ours."""
_FILTERS: dict[str, Callable[..., str]] = {"page": page_name}


def write_quality_pages(out: Path, quality: Quality, poses: Mapping[str, ClipPose]) -> list[str]:
    """Write the pages of measured strokes; they work from the disk, without a server or network.

    Films that are there are kept; the start page is written last; what no page shows any more is
    removed after that. A stop at any time leaves whole pages with their films.

    Args:
        out: gets `index.html`, `players/`, `classes/` and `films/`.
        quality: what was measured.
        poses: landmarks by clip, of strokes that have any.

    Returns:
        What is missing on the pages and why, a line each.
    """
    with lock_folder(out, "quality"), clean_folder(out):
        films, problems = make_films(out / "films", quality.strokes, poses)
        pages = _Pages(out, quality, films)
        pages.write(problems)
        pages.remove_others()
        remove_other_films(out / "films", films, [item.clip_id for item in quality.strokes])
    return [problem.text for problem in problems]


class _Pages:
    """The pages of a measurement; a stroke's part is made once for the two pages that show it."""

    def __init__(self, out: Path, quality: Quality, films: Mapping[str, str]) -> None:
        self._out, self._quality, self._films = out, quality, films
        self._references = References(quality)
        part = environment_of(_TEMPLATES, _FILTERS).get_template("quality_stroke.html.j2")
        self._sections = {
            item.clip_id: part.render(item=against(item, self._references), name=name_of(item))
            for item in quality.strokes
        }
        self.players = sorted(
            {item.player_id for item in quality.strokes if item.player_id is not None}
        )
        self.labels = sorted({item.label for item in quality.strokes})

    def write(self, problems: Sequence[Problem]) -> None:
        """All pages, the start page last."""
        for player in self.players:
            groups = groups_of_player(self._quality, self._references, player)
            self._write("players", player, groups, ())
        for label in self.labels:
            groups = groups_of_class(self._quality, self._references, label)
            self._write("classes", label, groups, told_apart(self._quality, label))
        content = {
            "quality": self._quality,
            "players": [self._line(item, "player_id") for item in self.players],
            "labels": [self._line(item, "label") for item in self.labels],
            "references": {
                label: [item for item in self._quality.references if item.label == label]
                for label in self.labels
            },
            "unknown": sum(item.player_id is None for item in self._quality.strokes),
            "films": len(self._films),
            "problems": [item.for_others for item in problems],
        }
        write_page(
            self._out / "index.html", _TEMPLATES / "quality_index.html.j2", content, _FILTERS
        )

    def _write(self, kind: str, name: str, groups: Sequence[Group], apart: Sequence[Any]) -> None:
        strokes = [item for group in groups for item in group.strokes]
        shown = [
            (group, [listed(item, self._sections[item.clip_id]) for item in group.strokes])
            for group in groups
        ]
        content = {
            "kind": kind,
            "name": name,
            "groups": shown,
            "coarse": self._quality.coarse,
            "data": page_data(strokes, self._references, self._films),
            "apart": apart,
            "notes": _common_notes(strokes),
        }
        target = self._out / kind / page_name(name)
        write_page(target, _TEMPLATES / "quality.html.j2", content, _FILTERS)

    def _line(self, name: str, column: str) -> dict[str, Any]:
        """A row of the start page."""
        own = [item for item in self._quality.strokes if getattr(item, column) == name]
        others = [item for item in own if not item.is_reference]
        return {
            "name": name,
            "strokes": len(own),
            "references": len(own) - len(others),
            "outside": sum(bool(item.words) for item in others),
            "refused": sum(item.refused is not None for item in own),
        }

    def remove_others(self) -> None:
        """Remove pages of players and classes that are no more."""
        for kind, names in (("players", self.players), ("classes", self.labels)):
            kept = {page_name(name) for name in names}
            for path in (self._out / kind).glob("*.html"):
                if _PAGE.match(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)


def _common_notes(strokes: Sequence[StrokeQuality]) -> list[tuple[str, int]]:
    """What to know of the strokes of a page, with how many it is said of."""
    counts: dict[str, int] = {}
    for stroke in strokes:
        for note in stroke.notes:
            counts[note] = counts.get(note, 0) + 1
    return list(counts.items())
