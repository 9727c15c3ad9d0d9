"""The `ttdata` command: synth, annotate, curate, review, plant, split, stats, convert."""

from pathlib import Path
from typing import Annotated

import typer

from ttdata.commands.annotate_options import annotate
from ttdata.commands.notes import print_lines as _print
from ttdata.console import run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Curates crowd annotations of racket-sport videos into a dataset of strokes.",
)

app.add_typer(annotate, name="annotate")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="settings as a JSON file")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting; repeatable")
]


def main() -> None:
    """Run the command line."""
    run(app)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="folder to write")],
    videos: Annotated[int | None, typer.Option(help="number of videos")] = None,
    players: Annotated[int | None, typer.Option(help="number of players")] = None,
    seconds: Annotated[float | None, typer.Option(help="length of a video")] = None,
    fps: Annotated[float | None, typer.Option(help="frames per second")] = None,
    seed: Annotated[int | None, typer.Option(help="of all that is drawn")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="pixels, as 640x360")] = None,
    strokes: Annotated[str | None, typer.Option(help="labels, comma-separated")] = None,
    two_players: Annotated[bool, typer.Option("--two-players", help="two in view")] = False,
    matches: Annotated[
        bool, typer.Option("--matches", help="rallies with rest, pick-ups and fake swings between")
    ] = False,
    rest_share: Annotated[
        float | None, typer.Option(help="with --matches: of the time, between rallies")
    ] = None,
    half_annotated: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="of the videos, annotated in spans only: covered.csv"),
    ] = None,
    graded: Annotated[
        bool, typer.Option("--graded", help="sessions of graded strokes: quality_truth.csv")
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Make synthetic videos with crowd annotators, and the truth."""
    from ttdata.commands.synth import run_synth

    options = {
        "num_videos": videos,
        "num_players": players,
        "seconds": seconds,
        "fps": fps,
        "seed": seed,
        "size": size,
        "strokes": strokes,
        "players_per_video": 2 if two_players else None,
        "matches": True if matches else None,
        "rest_share": rest_share,
        "half_annotated_share": half_annotated,
        "graded": True if graded else None,
    }
    run_synth(out, config, options, settings or ())


@app.command()
def curate(
    source: Annotated[Path, typer.Argument(help="folder or file in any format we read")],
    out: Annotated[Path, typer.Option(help="dataset folder to write")],
    format: Annotated[str | None, typer.Option(help="by default recognised")] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="ttstroke21, infer or a JSON file; by default what fits")
    ] = None,
    trimmed: Annotated[bool, typer.Option("--trimmed", help="each file is one stroke")] = False,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Filter, merge and check annotations; propose negatives; write a dataset."""
    from ttdata.commands.curate import run_curate

    _print(
        run_curate(
            source,
            out,
            format=format,
            taxonomy=taxonomy,
            trimmed=trimmed,
            config_path=config,
            overrides=settings or (),
        )
    )


@app.command()
def review(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    out: Annotated[Path | None, typer.Option(help="write all as a CSV to fill in")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="CSV with decisions to take into reviews.csv")
    ] = None,
    suspects: Annotated[
        Path | None, typer.Option(help="audit.csv of `tttrain audit`: labels to look at")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="how many are listed")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="for programs; lists all")] = False,
) -> None:
    """List what needs a person's look, worst first, and take decisions."""
    from ttdata.commands.review import run_review

    _print(
        run_review(
            dataset,
            out=out,
            decisions=decisions,
            suspects=suspects,
            limit=limit,
            as_json=as_json,
        )
    )


@app.command()
def plant(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    out: Annotated[Path, typer.Option(help="dataset folder to write")],
    kind: Annotated[str, typer.Option(help="flips, hands, groups, negatives or bounds")],
    rate: Annotated[float, typer.Option(help="of the clips that are made wrong")] = 0.1,
    splits: Annotated[
        str, typer.Option(help="of the clips that may be made wrong")
    ] = "train,validation,test",
    seed: Annotated[int, typer.Option(min=0, help="of all that is drawn")] = 0,
) -> None:
    """Copy a dataset with wrong labels, and record the truth: to measure an audit."""
    from ttdata.commands.plant import run_plant

    _print(run_plant(dataset, out, kind=kind, rate=rate, splits=splits, seed=seed))


@app.command()
def split(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    strategy: Annotated[str, typer.Option(help="paper, grouped, given or file")] = "grouped",
    group: Annotated[str, typer.Option(help="video, player or session")] = "video",
    assign: Annotated[Path | None, typer.Option(help="CSV for the strategy file")] = None,
    shares: Annotated[str, typer.Option(help="train,validation,test")] = "0.7,0.2,0.1",
    seed: Annotated[int, typer.Option(help="of all that is drawn")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget the division before")] = False,
) -> None:
    """Divide the clips into train, validation and test."""
    from ttdata.commands.split import run_split

    _print(
        run_split(
            dataset,
            strategy=strategy,
            group=group,
            shares=shares,
            seed=seed,
            assign=assign,
            fresh=fresh,
        )
    )


@app.command()
def stats(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show funnel, table I, durations, agreement and leakage."""
    from ttdata.commands.stats import run_stats

    _print(run_stats(dataset, as_json=as_json))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="any format we read")],
    out: Annotated[Path, typer.Argument(help="file or folder to write")],
    to: Annotated[str, typer.Option(help="crowd, eaf, activitynet, mediaeval-xml, ...")],
    source_format: Annotated[
        str | None, typer.Option("--from", help="by default recognised")
    ] = None,
    event_window: Annotated[
        str, typer.Option(metavar="SECONDS,SECONDS", help="before and after a single event")
    ] = "0.5,0.5",
) -> None:
    """Write annotations in another format; columns it cannot hold are named."""
    from ttdata.commands.convert import run_convert

    _print(run_convert(source, out, to, source_format=source_format, event_window=event_window))
