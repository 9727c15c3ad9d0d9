"""The command line `ttflow`: parses, calls one function, prints."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ttdata.console import run
from ttflow.shards.storage import folder

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From curated videos to clip shards: flow, foreground, region of interest.",
)

Device = Literal["auto", "cpu", "cuda"]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting.")
]


@app.command()
def extract(
    dataset: Annotated[
        Path, typer.Argument(parser=folder, help="Folder that `ttdata curate` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", parser=folder, help="Shards folder.")],
    estimator: Annotated[str | None, typer.Option(help="Optical flow method.")] = None,
    device: Annotated[Device, typer.Option(help="Where the flow is computed.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Videos at once.")] = None,
    videos_per_gpu: Annotated[
        int, typer.Option(min=1, max=100, help="Videos that share a GPU.")
    ] = 8,
    config: Annotated[Path | None, typer.Option(help="JSON file of settings.")] = None,
    sets: Sets = None,
) -> None:
    """Compute the clip shards of a dataset; what is finished is left alone."""
    from ttdata.storage.outputs import check_output_folder
    from ttflow.jobs.job import Workers
    from ttflow.jobs.run import extract as work
    from ttflow.jobs.run import resolve_config
    from ttflow.shards.layout import WRITTEN

    settings = resolve_config(config, estimator, sets or [])
    check_output_folder(out, "shards", [dataset], settings=[config], writes=WRITTEN)
    use = Workers(count=workers, device=device, videos_per_gpu=videos_per_gpu)
    summary = work(dataset, out, settings, use)
    typer.echo(summary.line)


@app.command()
def verify(
    shards: Annotated[Path, typer.Argument(parser=folder, help="Shards folder.")],
    deep: Annotated[bool, typer.Option("--deep", help="Also decode every frame.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    mend: Annotated[
        bool, typer.Option("--repair", help="Remove damaged videos, for `extract` to redo.")
    ] = False,
) -> None:
    """Check every file and count of a shards folder; exit code 1 if there are problems."""
    from ttflow.shards.verify import repair
    from ttflow.shards.verify import verify as work

    report = work(shards, deep)
    typer.echo(report.to_json() if as_json else report.text)
    if mend and report.damaged_videos:
        count = repair(shards, report)
        typer.echo(f"removed: {count} damaged videos; run `ttflow extract` again", err=True)
    if report.problems:
        raise typer.Exit(1)


@app.command()
def stats(
    shards: Annotated[Path, typer.Argument(parser=folder, help="Shards folder.")],
    split: Annotated[str, typer.Option(help="Split to look at, or `all`.")] = "train",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show how large the flow is, per axis: what a network's normalisation needs."""
    from ttflow.shards.stats import flow_stats

    found = flow_stats(shards, None if split == "all" else split)
    typer.echo(found.to_json() if as_json else found.text)


@app.command()
def view(
    source: Annotated[Path, typer.Argument(help="Shards folder, or a video file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    clip: Annotated[str | None, typer.Option(help="Clip of the shards.")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="Frame of the video.")] = None,
    sets: Sets = None,
) -> None:
    """Draw frame, flow, mask, filtered flow and the ROI track, and make a short film.

    Of shards also a contact sheet.
    """
    from ttflow.view.pictures import view as work

    for path in work(source, out, clip_id=clip, frame=frame, overrides=sets or []):
        typer.echo(str(path))


def main() -> None:
    """Run the command line: 0 done, 1 the work failed, 2 wrong usage or input."""
    run(app)


if __name__ == "__main__":
    main()
