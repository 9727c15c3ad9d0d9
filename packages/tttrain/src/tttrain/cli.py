"""`tttrain`: train, test and report. Parses and calls; holds no logic."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ttdata.console import run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train and test stroke recognition models on the shards that `ttflow extract` writes.",
)

Data = Annotated[Path, typer.Option("--data", help="Shards folder.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: a.b=value."),
]

Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda or cuda:N; auto: as the run was configured, a GPU where there is one."
    ),
]
OtherExtraction = Annotated[
    bool,
    typer.Option(
        "--allow-other-extraction",
        help="Take shards extracted with other settings than those the model learned from.",
    ),
]


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Run folder.")],
    recipe: Annotated[str | None, typer.Option(help="See `tttrain recipes`.")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file, instead of a recipe.")] = None,
    settings: Settings = None,
) -> None:
    """Train a model; the same command goes on where a killed one stopped."""
    from ttdata.storage.outputs import check_output_folder
    from tttrain.commands.fit import fit as train
    from tttrain.recipes import resolve
    from tttrain.run import WRITTEN

    chosen = resolve(recipe, config, settings or [])
    check_output_folder(out, "a run", [data], settings=[config], writes=WRITTEN)
    train(chosen, data, out)


@app.command()
def evaluate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Data,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    device: Device = "auto",
    allow_other_extraction: OtherExtraction = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Test a run's model: Test, TestVote, TestAvg, baselines, confusion matrix, report."""
    from tttrain.commands.evaluate import evaluate as test
    from tttrain.report.summary import summary

    result = test(
        run_folder, data, split, device=device, allow_other_extraction=allow_other_extraction
    )
    typer.echo(json.dumps(result) if as_json else summary(result, run_folder))


@app.command()
def compare(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder of the comparison.")],
    rows: Annotated[
        str | None, typer.Option("--recipes", help="Rows, comma-separated; by default all.")
    ] = None,
    base_recipe: Annotated[
        str | None, typer.Option(help="Train all rows as this recipe does, networks aside.")
    ] = None,
    like: Annotated[str | None, typer.Option(hidden=True)] = None,
    settings: Settings = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Train and test the rows of table II; rows that are there already are kept.

    --set KEY=VALUE holds for all rows, --set ROW:KEY=VALUE for one.
    """
    from tttrain.commands.compare import ROWS
    from tttrain.commands.compare import compare as run_rows
    from tttrain.report.comparison_page import lines

    if base_recipe and like:
        raise typer.BadParameter("--like is the former name of --base-recipe; give one of them")
    names = ROWS if rows is None else [name.strip() for name in rows.split(",")]
    table = run_rows(
        data,
        out,
        names,
        base_recipe=base_recipe or like,
        overrides=settings or (),
        device=device,
    )
    typer.echo(json.dumps(table) if as_json else "\n".join(lines(table)))
    typer.echo(f"table: {out / 'index.html'}, {out / 'table.md'}", err=as_json)


@app.command()
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Shards folder, or a video.")],
    out: Annotated[
        Path, typer.Option("--out", help="A .json or .csv file, or a folder for MediaEval XML.")
    ],
    strokes: Annotated[
        Path | None,
        typer.Option(help="Where a video's strokes are: annotations in any format ttdata reads."),
    ] = None,
    device: Device = "auto",
    allow_other_extraction: OtherExtraction = False,
) -> None:
    """Name the strokes of shards or of a video, whatever their labels or splits."""
    from tttrain.commands.predict import predict as name_strokes

    told = name_strokes(
        run_folder,
        source,
        out,
        strokes,
        device=device,
        allow_other_extraction=allow_other_extraction,
    )
    typer.echo(told)


Dataset = Annotated[Path, typer.Option("--dataset", help="Dataset folder.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Videos at once.")]
VideosPerGpu = Annotated[
    int, typer.Option("--videos-per-gpu", min=1, max=100, help="Videos that share a GPU.")
]


@app.command("fit-detector")
def fit_detector(
    run_folder: RunFolder,
    dataset: Dataset,
    device: Device = "auto",
    overrides: Settings = None,
    workers: Workers = None,
    videos_per_gpu: VideosPerGpu = 4,
) -> None:
    """Learn from whole videos how strokes are found: a decoder, and a joint head."""
    from ttdata.settings import override
    from tttrain.commands.fit_detector import fit_detector as learn
    from tttrain.indexing.detector import DetectorConfig

    told = learn(
        run_folder,
        dataset,
        config=override(DetectorConfig(), overrides or ()),
        device=device,
        workers=workers,
        videos_per_gpu=videos_per_gpu,
    )
    typer.echo(told)


@app.command("evaluate-detector")
def evaluate_detector(
    run_folder: RunFolder,
    dataset: Dataset,
    device: Device = "auto",
    workers: Workers = None,
    videos_per_gpu: VideosPerGpu = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    """Measure on whole test videos how well strokes are found and named."""
    from tttrain.commands.evaluate_detector import detector_lines
    from tttrain.commands.evaluate_detector import evaluate_detector as measure

    result = measure(
        run_folder, dataset, device=device, workers=workers, videos_per_gpu=videos_per_gpu
    )
    typer.echo(json.dumps(result) if as_json else "\n".join(detector_lines(result)))


@app.command()
def index(
    run_folder: RunFolder,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A video, a folder of videos, or a dataset.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the index.")],
    players: Annotated[
        int, typer.Option(min=1, max=2, help="In view; 2: one in each half of the picture.")
    ] = 1,
    device: Device = "auto",
    workers: Workers = None,
    videos_per_gpu: VideosPerGpu = 4,
) -> None:
    """Find and name the strokes of whole videos; the same command goes on after a stop."""
    from tttrain.commands.index import index as find_strokes

    told = find_strokes(
        run_folder,
        source,
        out,
        players=players,
        device=device,
        workers=workers,
        videos_per_gpu=videos_per_gpu,
    )
    typer.echo(told)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one in full.")] = None,
) -> None:
    """List the recipes, or print one as JSON that --config reads."""
    from tttrain.recipes import describe

    typer.echo(describe(name))


def main() -> None:
    """Run the command line; our errors become one line and an exit code."""
    run(app)
