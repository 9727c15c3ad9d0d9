"""ELAN: one `.eaf` file per video or annotator, in milliseconds (specification 1.7).

Every annotation of a tier that depends on no other is an annotation: its value is the label, the
tier's ANNOTATOR (else the document's AUTHOR) the annotator, its PARTICIPANT the player.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl

from ttdata.errors import InputError
from ttdata.sources.annotations import Source
from ttdata.sources.formats.beside import (
    Row,
    annotation_files,
    folder_of,
    make_source,
    path_below,
    video_id_of,
)
from ttdata.sources.formats.xml_tree import Element, attributes_xml, read_xml, root_tag, text_xml
from ttdata.sources.videos import SUFFIXES
from ttdata.storage.atomic import write_text

NAME = "eaf"
_ROOT = "ANNOTATION_DOCUMENT"
_LARGEST_FPS = 1000
"""From here on two frames share a millisecond."""


def matches(path: Path) -> bool:
    """Whether the path is an ELAN file, or a folder with one in it."""
    return any(root_tag(file) == _ROOT for file in annotation_files(path, ".eaf"))


def read(path: Path) -> Source:
    """The annotations of every file, in seconds; the video is the one that the file links.

    Raises:
        AnnotationError: naming file, line and element, if one is broken.
    """
    root = folder_of(path)
    return make_source(
        NAME, path, [row for file in annotation_files(path, ".eaf") for row in _rows(file, root)]
    )


def _rows(file: Path, root: Path) -> Iterator[Row]:
    top = read_xml(file)
    if top.tag != _ROOT:
        raise top.error(f"is the root, expected <{_ROOT}>")
    video_id, origin_ms = _media(top, file)
    slots_ms = _slots_ms(top)
    for tier in top.find_all("TIER"):
        if tier.attributes.get("PARENT_REF"):
            continue
        who = tier.attributes.get("ANNOTATOR") or top.attributes.get("AUTHOR", "")
        for annotation in tier.find_all("ANNOTATION"):
            for aligned in annotation.find_all("ALIGNABLE_ANNOTATION"):
                start, end = (_seconds(aligned, slots_ms, origin_ms, number) for number in "12")
                value = aligned.descend("ANNOTATION_VALUE")
                yield {
                    "annotation_id": f"{file.relative_to(root)}#{aligned.get('ANNOTATION_ID')}",
                    "video_id": video_id,
                    "annotator_id": who,
                    "file": file,
                    "start_seconds": start,
                    "end_seconds": end,
                    "label": value.text if value else None,
                    "player_id": tier.attributes.get("PARTICIPANT"),
                }


def _media(top: Element, file: Path) -> tuple[str, int]:
    """The video's id, and the time in the video at which the annotations' time begins."""
    header = top.descend("HEADER")
    if header is None:
        return file.stem, 0
    unit = header.attributes.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise header.error(f"has TIME_UNITS={unit[:40]!r}, expected milliseconds")
    media = [
        (element.attributes.get("RELATIVE_MEDIA_URL") or element.get("MEDIA_URL"), element)
        for element in header.find_all("MEDIA_DESCRIPTOR")
    ]
    if not media:
        return file.stem, 0
    # Sound recordings may be linked, too.
    videos = [item for item in media if Path(item[0]).suffix.lower() in SUFFIXES]
    url, element = (videos or media)[0]
    origin_ms = element.integer("TIME_ORIGIN") if "TIME_ORIGIN" in element.attributes else 0
    return video_id_of(url if "://" in url else f"file://{url}"), origin_ms


def _slots_ms(top: Element) -> dict[str, int | None]:
    """Milliseconds of every time slot; null where ELAN left it open."""
    order = top.descend("TIME_ORDER")
    slots = order.find_all("TIME_SLOT") if order else []
    return {
        slot.get("TIME_SLOT_ID"): slot.integer("TIME_VALUE")
        if "TIME_VALUE" in slot.attributes
        else None
        for slot in slots
    }


def _seconds(
    aligned: Element, slots_ms: dict[str, int | None], origin_ms: int, number: str
) -> float | None:
    name = aligned.get(f"TIME_SLOT_REF{number}")
    if name not in slots_ms:
        raise aligned.error(f"refers to the time slot {name[:40]!r}, which is not there")
    value = slots_ms[name]
    return None if value is None else (value + origin_ms) / 1000


def write(out: Path, annotations: pl.DataFrame) -> None:
    """Write one file per video into a folder, a tier per annotator and player.

    Annotations that overlap are in tiers of their own, as no tier of ELAN holds both.

    Args:
        out: the folder; a video `a/b` becomes `a/b.eaf`, linked as `./videos/a/b.mp4`.
        annotations: `video_id, annotator_id, player_id, label, start_seconds, end_seconds, fps,
            path`, bounds not null, not negative and not reversed.

    Raises:
        InputError: if an id cannot be a file's name, XML cannot hold a character, or the frames of
            a video are shorter than a millisecond.
    """
    for (video_id,), rows in annotations.group_by("video_id", maintain_order=True):
        fps = rows["fps"][0]
        if fps is not None and fps >= _LARGEST_FPS:
            raise InputError(
                f"video {video_id!r}: {fps:g} frames per second, and ELAN holds milliseconds; "
                f"expected less than {_LARGEST_FPS}"
            )
        write_text(path_below(out, str(video_id), ".eaf"), _document(str(video_id), rows))


def milliseconds(bound: str) -> pl.Expr:
    """The bound `start` or `end` as whole milliseconds, to the nearest."""
    return (pl.col(f"{bound}_seconds") * 1000 + 0.5).floor().cast(pl.Int64)


def _document(video_id: str, rows: pl.DataFrame) -> str:
    timed = rows.with_columns(start_ms=milliseconds("start"), end_ms=milliseconds("end"))
    times = timed["start_ms"].append(timed["end_ms"]).unique().sort().to_list()
    slots = {time: f"ts{number}" for number, time in enumerate(times, 1)}
    slot_lines = "".join(
        f'    <TIME_SLOT TIME_SLOT_ID="{name}" TIME_VALUE="{time}"/>\n'
        for time, name in slots.items()
    )
    path = rows["path"][0]
    media = attributes_xml(
        MEDIA_URL=Path(path).as_uri() if path else "",
        MIME_TYPE="video/mp4",
        RELATIVE_MEDIA_URL=f"./videos/{quote(video_id)}.mp4",
    )
    # A fixed date: the same annotations give the same bytes.
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2000-01-01T00:00:00+00:00" FORMAT="3.0" '
        'VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
        '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
        f"    <MEDIA_DESCRIPTOR{media}/>\n"
        "  </HEADER>\n"
        f"  <TIME_ORDER>\n{slot_lines}  </TIME_ORDER>\n"
        f"{''.join(_tiers(timed, slots))}"
        '  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" '
        'TIME_ALIGNABLE="true"/>\n'
        "</ANNOTATION_DOCUMENT>\n"
    )


def _tiers(timed: pl.DataFrame, slots: dict[int, str]) -> Iterator[str]:
    number = 0
    names: set[str] = set()
    for (who, player), rows in timed.group_by("annotator_id", "player_id", maintain_order=True):
        people = {"ANNOTATOR": str(who)} if who else {}
        people |= {} if player is None else {"PARTICIPANT": str(player)}
        base = " ".join(people.values()) or "strokes"
        for layer in _layers(rows.sort("start_ms", "end_ms", maintain_order=True)):
            name = _new_name(base, names)
            lines = []
            for row in layer:
                number += 1
                lines.append(_annotation(row, slots, number))
            head = attributes_xml(LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name, **people)
            yield f"  <TIER{head}>\n{''.join(lines)}  </TIER>\n"


def _new_name(base: str, names: set[str]) -> str:
    """The name, numbered from the second tier on."""
    number, name = 1, base
    while name in names:
        number += 1
        name = f"{base} {number}"
    names.add(name)
    return name


def _layers(rows: pl.DataFrame) -> list[list[dict[str, object]]]:
    """The rows in as few lists as it takes for none to overlap within a list."""
    layers: list[list[dict[str, object]]] = []
    for row in rows.iter_rows(named=True):
        free = next((layer for layer in layers if layer[-1]["end_ms"] <= row["start_ms"]), None)
        if free is None:
            layers.append([row])
        else:
            free.append(row)
    return layers


def _annotation(row: dict[str, object], slots: dict[int, str], number: int) -> str:
    start, end = slots[row["start_ms"]], slots[row["end_ms"]]  # type: ignore[index]
    return (
        f'    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" '
        f'TIME_SLOT_REF1="{start}" TIME_SLOT_REF2="{end}">'
        f"<ANNOTATION_VALUE>{text_xml(str(row['label'] or ''))}</ANNOTATION_VALUE>"
        "</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
    )
