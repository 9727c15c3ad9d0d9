"""Options of `ttdata annotate PROJECT ...`."""

from pathlib import Path
from typing import Annotated

import typer

from ttdata.commands.notes import print_lines

annotate = typer.Typer(
    no_args_is_help=True,
    help="The annotation platform: a folder of videos, and what people mark in them.",
)


@annotate.callback()
def _project(
    context: typer.Context,
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="folder of the project")],
) -> None:
    """Name the project."""
    context.obj = project


@annotate.command()
def init(
    context: typer.Context,
    taxonomy: Annotated[str, typer.Option(help="ttstroke21 or a JSON file")] = "ttstroke21",
    annotators_per_video: Annotated[
        int, typer.Option(min=1, help="people who mark a video independently")
    ] = 2,
    golden_share: Annotated[
        float, typer.Option(min=0, max=0.5, help="of golden clips among a person's videos")
    ] = 0.1,
) -> None:
    """Make the project folder."""
    from ttdata.commands.annotate import run_init

    print_lines(run_init(context.obj, taxonomy, annotators_per_video, golden_share))


@annotate.command()
def add(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="videos, source folders")],
    annotations: Annotated[
        bool, typer.Option("--annotations", help="their annotations, too, as finished marks")
    ] = False,
    annotator: Annotated[
        str | None, typer.Option(help="with --annotations: whose they are")
    ] = None,
    golden: Annotated[
        bool,
        typer.Option(
            "--golden",
            help="golden clips: truth.csv, or annotations of one person; every third for training",
        ),
    ] = False,
    proposals: Annotated[
        bool, typer.Option("--proposals", help="files of a model's detections, of known videos")
    ] = False,
) -> None:
    """Add videos, or what is known of them."""
    from ttdata.commands.annotate import run_add

    print_lines(
        run_add(
            context.obj,
            paths,
            annotations=annotations,
            annotator=annotator,
            golden=golden,
            proposals=proposals,
        )
    )


@annotate.command()
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8000,
    lan: Annotated[
        bool, typer.Option("--lan", help="for other machines in the network, too")
    ] = False,
    cert: Annotated[Path | None, typer.Option(help="certificate, PEM: https")] = None,
    key: Annotated[Path | None, typer.Option(help="its key, PEM")] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="another name or address of this machine; repeatable"),
    ] = None,
    teacher_link: Annotated[
        bool, typer.Option("--teacher-link", help="print a link for a new password of a teacher")
    ] = False,
) -> None:
    """Open the project to browsers; Ctrl-C ends it."""
    from ttdata.commands.annotate import run_serve

    print_lines(
        run_serve(
            context.obj,
            port=port,
            lan=lan,
            certificate=cert,
            key=key,
            host_names=host_name or (),
            teacher_link=teacher_link,
        )
    )


@annotate.command()
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="folder to write, a source of `ttdata curate`")],
) -> None:
    """Write what people finished as a source."""
    from ttdata.commands.annotate import run_export

    print_lines(run_export(context.obj, out))


@annotate.command()
def backup(context: typer.Context) -> None:
    """Write a backup into the project's backups/, also while people work."""
    from ttdata.commands.annotate import run_backup

    print_lines(run_backup(context.obj))


@annotate.command()
def restore(
    context: typer.Context,
    backup: Annotated[str, typer.Argument(metavar="BACKUP", help="its name in backups/, or path")],
) -> None:
    """Go back to a backup; what it replaces is kept."""
    from ttdata.commands.annotate import run_restore

    print_lines(run_restore(context.obj, backup))
