"""The `ttdata curate` command: a source, curated into a dataset folder."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from ttdata.commands.notes import Note
from ttdata.commands.rejections import check_any_accepted, unknown_labels
from ttdata.commands.split import divide_again
from ttdata.curation.curate import CurationResult, curate
from ttdata.curation.decisions import checked_reviews, no_reviews
from ttdata.errors import AnnotationError, InputError
from ttdata.report.page import write_report
from ttdata.report.text import funnel_lines, split_line
from ttdata.review.ingest import with_decisions_of, write_review_cells
from ttdata.schema import CurationConfig, DatasetInfo
from ttdata.settings import load_config
from ttdata.sources.annotations import Source
from ttdata.sources.covered import covered_of, read_covered
from ttdata.sources.formats import read_source
from ttdata.sources.formats.beside import folder_of
from ttdata.sources.rates import at_video_rates
from ttdata.sources.videos import probe_videos
from ttdata.storage.dataset import (
    REVIEWS,
    WRITTEN,
    Dataset,
    load_dataset,
    tool_versions,
    write_dataset,
)
from ttdata.storage.outputs import check_output, check_output_folder, source_inputs
from ttdata.taxonomy import TTSTROKE21, Taxonomy


@dataclass(frozen=True)
class Curated:
    """A curated dataset, and what a person should know about how it came about."""

    dataset: Dataset
    funnel: dict[str, int]
    notes: tuple[str, ...]
    report: Path


def run_curate(
    source: Path,
    out: Path,
    *,
    format: str | None = None,
    taxonomy: str | None = None,
    trimmed: bool = False,
    config_path: Path | None = None,
    overrides: Sequence[str] = (),
) -> Iterator[str]:
    """Curate a source, see `curate_source`; yields the lines to print.

    Args:
        source: a file or folder in any format we read.
        out: the dataset folder.
        format: a format's name; by default recognised by the layout.
        taxonomy: see `choose_taxonomy`.
        trimmed: each file is one stroke.
        config_path: a JSON file with a CurationConfig; None: the defaults.
        overrides: `key=value` texts, applied last.

    Raises:
        InputError: if the source, a setting, the taxonomy or the reviews cannot be read, or, after
            the dataset is written, if no annotation is accepted.
    """
    chosen = ["trimmed=true"] if trimmed else []
    config = load_config(CurationConfig, config_path, [*chosen, *overrides])
    check_output_folder(out, "a dataset", [source], settings=[config_path], writes=WRITTEN)
    result = curate_source(source, out, config, format=format, taxonomy=taxonomy)
    yield from map(Note, result.notes)
    yield from funnel_lines(result.funnel)
    yield split_line(result.dataset.info.split)
    yield f"report: {result.report}"
    check_any_accepted(source, result.dataset.annotations)


def curate_source(
    source: Path,
    out: Path,
    config: CurationConfig | None = None,
    *,
    format: str | None = None,
    taxonomy: str | None = None,
) -> Curated:
    """Read a source, curate it and write the dataset folder.

    In a folder that holds a dataset the reviews are applied and left as they are, and its division
    goes on: clips known from before stay in their split. Decisions of the source's `reviews.csv`
    that the dataset does not hold yet are added to its own.

    Args:
        source: a file or folder in any format we read.
        out: the dataset folder.
        config: `trimmed` is set for formats where a file is a stroke.
        format: a format's name; by default recognised by the layout.
        taxonomy: `ttstroke21`, `infer` or a JSON file; see `choose_taxonomy`.

    Raises:
        InputError: if the source, the taxonomy or the reviews cannot be read, or `out` is, holds or
            lies in the source, or holds something other than a dataset.
    """
    own = None if taxonomy in (None, "ttstroke21", "infer") else Path(str(taxonomy))
    inputs = source_inputs(source)
    check_output_folder(out, "a dataset", inputs, settings=[own], writes=WRITTEN)
    config = config or CurationConfig()
    before = load_dataset(out) if (out / "dataset.json").exists() else None
    read = read_source(source, format)
    check_output(out, read.files["path"].drop_nulls())
    if read.trimmed:
        config = config.model_copy(update={"trimmed": True})
    classes = choose_taxonomy(taxonomy, source, read)
    videos, warnings = probe_videos(read.files)
    cells, num_taken = with_decisions_of(folder_of(source) / REVIEWS, out / REVIEWS)
    reviews = no_reviews() if cells is None else checked_reviews(out / REVIEWS, cells, classes)
    annotations, rate_notes = at_video_rates(read, videos)
    covered, covered_notes = covered_of(read_covered(folder_of(source)), videos)
    result = curate(annotations, videos, config, classes, reviews, covered)
    divided = divide_again(before, result.clips, videos)
    info = DatasetInfo(
        source=str(source.resolve()),
        taxonomy=classes,
        config=config,
        counts=result.funnel,
        split=divided.split,
        versions=tool_versions(),
    )
    if cells is not None and num_taken:
        out.mkdir(parents=True, exist_ok=True)
        write_review_cells(out / REVIEWS, cells.drop("line"))
    dataset = write_dataset(
        out,
        info,
        videos=videos,
        annotations=result.annotations,
        actions=result.actions,
        clips=divided.clips,
        covered=covered,
        stretches=result.stretches,
    )
    notes = (
        *read.notes,
        *rate_notes,
        *covered_notes,
        *_video_notes(warnings, result),
        *unknown_labels(result.annotations, classes),
        *_taken_notes(source, num_taken),
        *_review_notes(result),
        *divided.notes,
    )
    return Curated(dataset, result.funnel, notes, write_report(dataset, divided.left_test))


def choose_taxonomy(choice: str | None, source: Path, read: Source) -> Taxonomy:
    """The taxonomy a person names; else the source's own, else one that fits its labels.

    Without a choice: `taxonomy.json` beside the annotations; TTStroke-21 for annotations with
    times; for trimmed files TTStroke-21 if it knows every label, else one class per label.

    Raises:
        InputError: if the file is unreadable or no taxonomy, or there is no label to infer from.
    """
    own = (source if source.is_dir() else source.parent) / "taxonomy.json"
    if choice is None and own.is_file():
        return load_taxonomy(own)
    labels = read.annotations["label"].drop_nulls().unique().sort().to_list()
    if choice is None:
        known = bool(labels) and all(TTSTROKE21.canonical(label) for label in labels)
        choice = "infer" if read.trimmed and not known else "ttstroke21"
    if choice == "ttstroke21":
        return TTSTROKE21
    if choice != "infer":
        return load_taxonomy(Path(choice))
    try:
        return Taxonomy.infer(labels)
    except ValidationError as error:
        raise AnnotationError(f"{source}: no label to infer a taxonomy from") from error


def load_taxonomy(path: Path) -> Taxonomy:
    """A taxonomy from a JSON file.

    Raises:
        InputError: if the file is missing, no JSON, or no taxonomy.
    """
    try:
        return Taxonomy.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "taxonomy"
        raise InputError(f"{path}: {place}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable taxonomy ({error}); expected ttstroke21, infer or a JSON file"
        ) from error


def _video_notes(warnings: list[str], result: CurationResult) -> tuple[str, ...]:
    notes = [f"video left out: {warning}" for warning in warnings]
    unknown = result.annotations.filter(pl.col("reasons").list.contains("unknown_video"))
    if unknown.height:
        names = unknown["video_id"].unique().sort()
        shown = ", ".join(repr(name) for name in names.head(3))
        more = ", ..." if len(names) > 3 else ""
        notes.append(f"annotations of unknown videos: {unknown.height} ({shown}{more})")
    return tuple(notes)


def _taken_notes(source: Path, count: int) -> tuple[str, ...]:
    """A line on the decisions that came with the source."""
    return (f"{count} decisions of {folder_of(source) / REVIEWS} taken along",) if count else ()


def _review_notes(result: CurationResult) -> tuple[str, ...]:
    """A line per review that found nothing, or that fits two actions equally well."""
    nothing = "finds nothing (IoU below 0.5)"
    several = "fits two actions alike, the first is taken: fill in player_id, or x_min to y_max"
    return tuple(
        f"{REVIEWS} line {row['line']}: {row['decision']} {row['video_id']!r} "
        f"[{row['start_frame']}, {row['end_frame']}) {what}"
        for rows, what in (
            (result.unmatched_reviews, nothing),
            (result.ambiguous_reviews, several),
        )
        for row in rows.iter_rows(named=True)
    )
