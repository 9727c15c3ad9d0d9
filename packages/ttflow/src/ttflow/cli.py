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
def pose(
    shards: Annotated[Path, typer.Argument(parser=folder, help="Shards folder.")],
    dataset: Annotated[
        Path | None,
        typer.Option(parser=folder, help="Where it lies now, if not where it was extracted from."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Videos at once.")] = None,
    sets: Sets = None,
) -> None:
    """Estimate the players' landmarks beside the shards; what is finished is left alone.

    Needs `pip install 'ttflow[pose]'` and, once, `ttflow fetch-pose`. No pixel is computed again.
    """
    from ttdata.settings import override
    from ttdata.storage.outputs import check_output_folder
    from ttflow.jobs.job import Workers
    from ttflow.jobs.pose_run import estimate_poses
    from ttflow.pose.config import PoseConfig

    settings = override(PoseConfig(), sets or [])
    check_output_folder(shards, "shards", [dataset], writes=["pose"])
    use = Workers(count=workers, device="cpu")
    typer.echo(estimate_poses(shards, settings, dataset, use).line)


@app.command()
def verify(
    shards: Annotated[Path, typer.Argument(parser=folder, help="Shards folder.")],
    deep: Annotated[bool, typer.Option("--deep", help="Also decode every frame.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    mend: Annotated[
        bool,
        typer.Option("--repair", help="Remove what is damaged, for `extract` and `pose` to redo."),
    ] = False,
) -> None:
    """Check every file and count of a shards folder; exit code 1 if there are problems."""
    from ttflow.shards.verify import repair, repaired_line
    from ttflow.shards.verify import verify as work

    report = work(shards, deep)
    typer.echo(report.to_json() if as_json else report.text)
    if mend and (report.damaged_videos or report.unusable_poses):
        typer.echo(repaired_line(repair(shards, report), len(report.unusable_poses)), err=True)
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

    Of shards also a contact sheet, and the skeleton where `ttflow pose` estimated it.
    """
    from ttflow.view.pictures import view as work

    for path in work(source, out, clip_id=clip, frame=frame, overrides=sets or []):
        typer.echo(str(path))


@app.command("fetch-pose")
def fetch_pose(
    sources: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="A wheel of mediapipe 0.10.14, or weights."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder to keep them in.", show_default=False)
    ] = None,
) -> None:
    """Put the weights of pose estimation into this user's cache; the only step that downloads.

    `--from` may come twice, for the two files. What is there already is left alone.
    """
    from ttflow.pose.fetch import fetch

    typer.echo(fetch(sources or [], to))


def main() -> None:
    """Run the command line: 0 done, 1 the work failed, 2 wrong usage or input."""
    run(app)


if __name__ == "__main__":
    main()
