"""The `ttdata` command: synth, curate, review, split, stats, convert."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ttdata.console import run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Curates crowd annotations of racket-sport videos into a dataset of strokes.",
)

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
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Make synthetic videos with crowd annotators, and the truth."""
    from ttdata.synth.write import run_synth

    options = {
        "num_videos": videos,
        "num_players": players,
        "seconds": seconds,
        "fps": fps,
        "seed": seed,
        "size": size,
        "strokes": strokes,
        "players_per_video": 2 if two_players else None,
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
    from ttdata.commands.curate import curate_source
    from ttdata.report.text import funnel_lines, split_line
    from ttdata.schema import CurationConfig
    from ttdata.settings import load_config

    chosen = ["trimmed=true"] if trimmed else []
    loaded = load_config(CurationConfig, config, [*chosen, *(settings or ())])
    result = curate_source(source, out, loaded, format=format, taxonomy=taxonomy)
    for note in result.notes:
        typer.echo(note, err=True)
    for line in funnel_lines(result.funnel):
        typer.echo(line)
    typer.echo(split_line(result.dataset.info.split))
    typer.echo(f"report: {result.report}")


@app.command()
def review(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    out: Annotated[Path | None, typer.Option(help="write all as a CSV to fill in")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="CSV with decisions to take into reviews.csv")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="how many are listed")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="for programs; lists all")] = False,
) -> None:
    """List what needs a person's look, worst first, and take decisions."""
    from ttdata.report.text import doubt_lines
    from ttdata.review.ingest import take_decisions, taken_line
    from ttdata.review.queue import read_doubts, write_doubts
    from ttdata.storage.dataset import load_dataset

    loaded = load_dataset(dataset)
    if decisions is not None:
        typer.echo(taken_line(take_decisions(loaded, decisions), loaded), err=as_json)
    doubts = read_doubts(loaded)
    if out is not None:
        write_doubts(doubts, out)
    if as_json:
        typer.echo(json.dumps(doubts.to_dicts(), indent=2, ensure_ascii=False))
        return
    for line in doubt_lines(doubts.head(limit)):
        typer.echo(line)
    typer.echo(f"{doubts.height} want a look" + (f"; all are in {out}" if out else ""))


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
    from ttdata.commands.options import parse_group, parse_shares, parse_strategy
    from ttdata.commands.split import split_dataset
    from ttdata.report.stats import class_table
    from ttdata.report.text import balance_line, split_line, table_lines
    from ttdata.splits.balance import class_balance

    divided, notes = split_dataset(
        dataset,
        parse_strategy(strategy),
        group=parse_group(group),
        seed=seed,
        shares=parse_shares(shares),
        assign=assign,
        fresh=fresh,
    )
    for note in notes:
        typer.echo(note, err=True)
    for line in table_lines(class_table(divided.clips, divided.info.taxonomy.classes)):
        typer.echo(line)
    typer.echo(split_line(divided.info.split))
    if divided.info.split is not None:
        typer.echo(balance_line(class_balance(divided.clips, divided.info.split)))


@app.command()
def stats(
    dataset: Annotated[Path, typer.Argument(help="folder that curate wrote")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show funnel, table I, durations, agreement and leakage."""
    from ttdata.report.stats import dataset_stats
    from ttdata.report.text import stats_lines
    from ttdata.storage.dataset import load_dataset

    loaded = load_dataset(dataset)
    found = dataset_stats(loaded)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for line in stats_lines(found, loaded.info.split):
        typer.echo(line)


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
    """Write annotations in another format; what it cannot hold is told."""
    from ttdata.sources.conversion import convert_source, parse_window

    window = parse_window(event_window)
    done = convert_source(source, out, to, source_format=source_format, window=window)
    for note in done.notes:
        typer.echo(note, err=True)
    typer.echo(done.summary)
