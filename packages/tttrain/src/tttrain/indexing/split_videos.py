"""The videos of a dataset that lie wholly in one split, with what is true of them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from ttdata.curation.player_regions import region_of
from ttdata.errors import InputError
from ttdata.sources.annotations import REGION
from ttdata.storage.dataset import Dataset
from ttflow.roi import Region
from tttrain.indexing.tracks import Track, by_track, tracks_of, video_of

logger = logging.getLogger(__name__)

_TOGETHER = "`ttdata split --strategy grouped --group video` keeps videos together"
_NAMES = ("video_id", "start_frame", "end_frame")


@dataclass(frozen=True)
class SplitVideos:
    """Whole videos of one split."""

    videos: pl.DataFrame
    """Rows as Video, by id."""
    truths: pl.DataFrame
    """`video_id, start_frame, end_frame, label` of their strokes."""
    annotated: pl.DataFrame
    """`video_id, start_frame, end_frame`: what people have covered of them, less what they could
    not agree on: a stroke set aside is there, but nobody knows which."""
    tracks: tuple[Track, ...]
    """The players of each video, in the order of the videos."""
    track_truths: pl.DataFrame
    """As `truths`, with the id of the track for that of the video."""

    track_annotated: pl.DataFrame
    """As `annotated`, once per track, with its id for that of the video; less strokes of which
    nobody says which of several players played them."""

    def within(self, num_frames: Mapping[str, int]) -> "SplitVideos":
        """What lies inside the frames that were decoded; containers may declare more.

        Args:
            num_frames: by track.
        """
        whole = {video_of(track): frames for track, frames in num_frames.items()}
        late = self.truths.filter(
            pl.col("end_frame") > pl.col("video_id").replace_strict(whole, return_dtype=pl.Int64)
        )
        for video_id in late["video_id"].unique().sort():
            logger.warning(
                "%s: decodes to %d frames, but strokes are marked beyond them; these are cut",
                video_id,
                whole[video_id],
            )
        return replace(
            self,
            truths=_clipped(self.truths, whole),
            annotated=_clipped(self.annotated, whole),
            track_truths=_clipped(self.track_truths, num_frames),
            track_annotated=_clipped(self.track_annotated, num_frames),
        )


def most_frequent(truths: pl.DataFrame) -> str:
    """The label of most strokes; of several the first by name."""
    counts = truths.group_by("label").len().sort("len", "label", descending=[True, False])
    return str(counts["label"][0])


def videos_of_split(dataset: Dataset, split: str, *, covered_whole: bool = False) -> SplitVideos:
    """The videos whose every stroke has this split, and that have a file.

    A video with strokes in several splits was partly learned from, so it is in none.

    Args:
        dataset: with its division.
        split: "train", "validation" or "test".
        covered_whole: leave out videos that people have covered in part only.

    Raises:
        InputError: if there is none, saying why.
    """
    strokes = dataset.clips.filter(kind="stroke")
    # A negative without a split is used by nobody; one of another split was learned from.
    used = dataset.clips.filter((pl.col("kind") == "stroke") | pl.col("split").is_not_null())
    own = used.group_by("video_id").agg(
        whole=(pl.col("split") == split).fill_null(value=False).all()
        & (pl.col("kind") == "stroke").any(),
        some=(pl.col("split") == split).any(),
    )
    chosen = own.filter("whole").select("video_id")
    videos = dataset.videos.join(chosen, on="video_id", how="semi").sort("video_id")
    videos = videos.filter(pl.col("path").is_not_null())
    mixed = own.filter(pl.col("some") & ~pl.col("whole")).height
    if videos.is_empty():
        raise InputError(
            f"{dataset.path}: no whole video of the split {split!r} with a file at hand ({mixed} "
            f"have strokes of it beside others); {_TOGETHER}"
        )
    if mixed:
        logger.warning(
            "%s: %d videos have strokes of the split %r beside others and are left out; %s",
            dataset.path,
            mixed,
            split,
            _TOGETHER,
        )
    if covered_whole:
        videos = _covered_whole(dataset, videos, split)
    held = strokes.join(videos, on="video_id", how="semi")
    return _with_tracks(videos, held, _annotated(dataset, videos))


def _annotated(dataset: Dataset, videos: pl.DataFrame) -> pl.DataFrame:
    """Spans that people have covered, less what they could not agree on."""
    spans = dataset.annotated_spans.join(videos, on="video_id", how="semi").select(_NAMES)
    return _without(spans, dataset.actions.filter(status="set_aside").select(_NAMES))


def _with_tracks(
    videos: pl.DataFrame, strokes: pl.DataFrame, annotated: pl.DataFrame
) -> SplitVideos:
    regions = regions_by_video(strokes)
    tracks = tuple(
        track
        for video_id in videos["video_id"]
        for track in tracks_of(video_id, regions.get(video_id, [None]))
    )
    ids = pl.DataFrame(
        [(track.video_id, track.track_id) for track in tracks],
        schema={"video_id": pl.String, "track_id": pl.String},
        orient="row",
    )
    several = ids.filter(pl.len().over("video_id") > 1)
    nobodys = strokes.filter(pl.col("x_min").is_null()).join(several, on="video_id", how="semi")
    spans = _without(annotated, nobodys.select(_NAMES)).join(
        ids, on="video_id", maintain_order="left_right"
    )
    columns = [*_NAMES, "label"]
    return SplitVideos(
        videos=videos,
        truths=strokes.select(columns).sort(columns),
        annotated=annotated,
        tracks=tracks,
        track_truths=by_track(strokes, tracks).select(columns).sort(columns),
        track_annotated=spans.with_columns(video_id="track_id").select(_NAMES),
    )


def regions_by_video(strokes: pl.DataFrame) -> dict[str, list[Region | None]]:
    """The regions of the strokes of each video, in the order of time; None where one has none.

    Args:
        strokes: rows as Clip.
    """
    found: dict[str, list[Region | None]] = {}
    for row in strokes.select(*_NAMES, *REGION).sort(pl.all()).iter_rows(named=True):
        found.setdefault(row["video_id"], []).append(region_of(row))
    return found


def _covered_whole(dataset: Dataset, videos: pl.DataFrame, split: str) -> pl.DataFrame:
    """The videos that people covered from end to end: only there is no stroke unknown."""
    whole = videos.join(dataset.covered, on="video_id", how="anti")
    if whole.height < videos.height:
        logger.warning(
            "%s: %d of %d %s videos are annotated in part and left out",
            dataset.path,
            videos.height - whole.height,
            videos.height,
            split,
        )
    if whole.is_empty():
        raise InputError(
            f"{dataset.path}: no {split} video is annotated from end to end; a decoder needs "
            "at least one"
        )
    return whole


def _without(spans: pl.DataFrame, holes: pl.DataFrame) -> pl.DataFrame:
    """Spans less holes: what is left of each between the holes, in order of time."""
    left: list[tuple[str, int, int]] = []
    for video_id, start, end in spans.select(_NAMES).iter_rows():
        own = holes.filter(pl.col("video_id") == video_id).sort("start_frame", "end_frame")
        for _, hole_start, hole_end in own.iter_rows():
            if hole_start > start:
                left.append((video_id, start, min(hole_start, end)))
            start = max(start, hole_end)
            if start >= end:
                break
        if start < end:
            left.append((video_id, start, end))
    return pl.DataFrame(left, schema=dict(spans.schema), orient="row")


def _clipped(rows: pl.DataFrame, num_frames: Mapping[str, int]) -> pl.DataFrame:
    """Rows cut at the end of their video; what begins there is left out."""
    end = pl.col("video_id").replace_strict(num_frames, return_dtype=pl.Int64)
    cut = rows.with_columns(end_frame=pl.min_horizontal("end_frame", end))
    return cut.filter(pl.col("end_frame") > pl.col("start_frame"))
