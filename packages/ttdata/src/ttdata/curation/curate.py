"""From annotations to clips: filter, merge, agree, review, propose negatives (specification 1)."""

from dataclasses import dataclass
from typing import get_args

import polars as pl

from ttdata.curation.consensus import interval_ids, make_actions
from ttdata.curation.decisions import apply_to_actions, decide_proposals, no_reviews
from ttdata.curation.filters import apply_filters
from ttdata.curation.negatives import propose
from ttdata.curation.stretches import find_stretches
from ttdata.errors import DatasetError
from ttdata.schema import Clip, CurationConfig, Reason, Stretch, StretchKind, Video
from ttdata.storage.tables import conform, empty
from ttdata.taxonomy import TTSTROKE21, Taxonomy

VERDICTS = ("usable", "rejected", "touches_rejected", "not_reviewed")


@dataclass(frozen=True)
class CurationResult:
    """The result of curation; every table is sorted by video and interval."""

    annotations: pl.DataFrame
    """Rows as Annotation: all annotations, rejected ones with their reasons."""
    actions: pl.DataFrame
    """Rows as Action: accepted and set aside."""
    clips: pl.DataFrame
    """Rows as Clip: all strokes and usable negatives, not yet divided (`split` is null)."""
    proposals: pl.DataFrame
    """Every proposal: `video_id, start_frame, end_frame, shortened, touches_rejected, verdict`."""
    stretches: pl.DataFrame
    """Rows as Stretch; none without `whole_video_negatives`."""
    funnel: dict[str, int]
    """Counts of each stage: what went in, what was left out for which reason, what came out."""
    unmatched_reviews: pl.DataFrame
    """Rows as Review, with their `line`, that found nothing to speak of."""
    ambiguous_reviews: pl.DataFrame
    """Rows as Review, with their `line`, that fit two actions equally well: the first was taken."""


def curate(
    annotations: pl.DataFrame,
    videos: pl.DataFrame,
    config: CurationConfig | None = None,
    taxonomy: Taxonomy = TTSTROKE21,
    reviews: pl.DataFrame | None = None,
    covered: pl.DataFrame | None = None,
) -> CurationResult:
    """Curate annotations into actions and clips; the order of the rows does not matter.

    Args:
        annotations: as `read_annotations` returns them; of the columns of
            `sources.annotations.ANNOTATION_COLUMNS`, only `video_id, annotator_id, start_frame,
            end_frame, label` (or seconds in place of frames) are needed.
        videos: rows as Video.
        config: by default the paper's numbers.
        taxonomy: the classes; labels are read in any of its spellings.
        reviews: people's decisions, as `ttdata.curation.decisions.read_reviews` returns them.
        covered: rows as CoveredSpan, disjoint: the frames of half-annotated videos that people
            annotated; None: all videos are annotated from end to end.

    Raises:
        AnnotationError: if a column is missing, ids repeat, or a review cannot be applied.
        DatasetError: if a video id is there twice.
    """
    config = config or CurationConfig()
    reviews = no_reviews() if reviews is None else reviews
    if videos["video_id"].is_duplicated().any():
        twice = videos.filter(pl.col("video_id").is_duplicated())["video_id"][0]
        raise DatasetError(f"two videos with one id {twice!r}")
    # Annotations are read in this form, and the two are joined by id.
    videos = conform(videos, Video).with_columns(pl.col("video_id").str.normalize("NFC"))
    filtered = apply_filters(annotations, videos, config, taxonomy)
    annotated, made = make_actions(filtered, config)
    reviewed = apply_to_actions(made, reviews, videos, config.max_overlap)
    actions = reviewed.actions.pipe(_with_players, videos)
    if taxonomy.negative is None:  # no class for them
        off = {"negatives": False, "whole_video_negatives": False}
        config = config.model_copy(update=off)
    proposals, gap_counts = propose(actions, annotated, videos, config, covered)
    decided, lines = decide_proposals(proposals, reviews, config.reviewed_negatives_only)
    clips = _clips(actions, decided, videos, taxonomy)
    stretches = empty(Stretch)
    if config.whole_video_negatives and taxonomy.negative is not None:
        stretches = find_stretches(
            actions, annotated, decided, videos, config, taxonomy.negative, covered
        )
    used = pl.concat([reviewed.lines, lines])
    unmatched = reviews.filter(~pl.col("line").is_in(used.implode()))
    return CurationResult(
        annotations=_renamed(annotated, reviewed.renamed),
        actions=actions,
        clips=clips,
        proposals=decided,
        stretches=stretches,
        funnel=_annotation_counts(filtered, videos)
        | _action_counts(actions)
        | gap_counts
        | _negative_counts(decided)
        | {
            "clips_stroke": clips.filter(kind="stroke").height,
            "clips_negative": clips.filter(kind="negative").height,
            "reviews": reviews.height,
            "reviews_unmatched": unmatched.height,
        }
        | _stretch_counts(stretches, config),
        unmatched_reviews=unmatched,
        ambiguous_reviews=reviews.filter(pl.col("line").is_in(reviewed.ambiguous.implode())),
    )


def _with_players(actions: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """A stroke without a player is by the one player of its video, where that is known."""
    known = videos.select("video_id", video_player="player_id")
    filled = actions.join(known, on="video_id", how="left", maintain_order="left")
    return filled.with_columns(player_id=pl.coalesce("player_id", "video_player")).drop(
        "video_player"
    )


def _renamed(annotations: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """The annotations under the ids their actions have after review."""
    joined = annotations.join(
        names, left_on="action_id", right_on="old_id", how="left", maintain_order="left"
    )
    return joined.with_columns(action_id="new_id").drop("new_id")


def _clips(
    actions: pl.DataFrame, proposals: pl.DataFrame, videos: pl.DataFrame, taxonomy: Taxonomy
) -> pl.DataFrame:
    """Accepted actions and usable proposals as Clip rows; an annotated negative is one, too."""
    is_negative = pl.col("label").eq_missing(pl.lit(taxonomy.negative))
    accepted = actions.filter(status="accepted").with_columns(
        clip_id="action_id",
        kind=pl.when(is_negative).then(pl.lit("negative")).otherwise(pl.lit("stroke")),
    )
    # No proposal has the interval of an action: it lies between two of them.
    usable = (
        proposals.filter(verdict="usable")
        .with_columns(label=pl.lit(taxonomy.negative, pl.String), kind=pl.lit("negative"))
        .with_columns(interval_ids("clip_id"))
        .pipe(conform, Clip)
        .pipe(_with_players, videos)
    )
    both = pl.concat([accepted.pipe(conform, Clip), usable])
    return both.sort("video_id", "start_frame", "end_frame", maintain_order=True)


def _annotation_counts(annotations: pl.DataFrame, videos: pl.DataFrame) -> dict[str, int]:
    reasons = annotations["reasons"].explode(empty_as_null=True).drop_nulls()
    accepted = int(annotations["accepted"].sum())
    return {
        "videos": videos.height,
        "annotations": annotations.height,
        **{f"rejected_{reason}": int((reasons == reason).sum()) for reason in get_args(Reason)},
        "annotations_rejected": annotations.height - accepted,
        "annotations_accepted": accepted,
    }


def _action_counts(actions: pl.DataFrame) -> dict[str, int]:
    return {
        "actions": actions.height,
        "actions_set_aside": actions.filter(status="set_aside").height,
        "actions_accepted": actions.filter(status="accepted").height,
        "actions_overlapping": int(actions["overlaps_other"].sum()),
    }


def _negative_counts(proposals: pl.DataFrame) -> dict[str, int]:
    verdicts = proposals["verdict"]
    return {
        "negatives_shortened": int(proposals["shortened"].sum()),
        **{f"negatives_{name}": int((verdicts == name).sum()) for name in VERDICTS},
    }


def _stretch_counts(stretches: pl.DataFrame, config: CurationConfig) -> dict[str, int]:
    """Counts where they were asked for: other datasets stay as they were."""
    if not config.whole_video_negatives:
        return {}
    kinds = get_args(StretchKind)
    return {f"stretches_{kind}": stretches.filter(kind=kind).height for kind in kinds}
