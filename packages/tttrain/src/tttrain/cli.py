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
    init: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Begin with the weights of a run or model folder."),
    ] = None,
) -> None:
    """Train a model; the same command goes on where a killed one stopped."""
    from ttdata.storage.outputs import check_output_folder
    from tttrain.commands.fit import fit as train
    from tttrain.recipes import resolve
    from tttrain.run import WRITTEN

    chosen = resolve(recipe, config, settings or [])
    check_output_folder(out, "a run", [data, init], settings=[config], writes=WRITTEN)
    train(chosen, data, out, init)


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
        str | None,
        typer.Option("--recipes", help="Rows, comma-separated; by default those of table II."),
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


@app.command("cross-validate")
def cross_validate(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder of the cross-validation.")],
    rows: Annotated[
        str, typer.Option("--recipes", help="Comma-separated; see `tttrain recipes`.")
    ] = "small",
    folds: Annotated[int, typer.Option(min=2, help="Parts, each the test of one network.")] = 6,
    group: Annotated[
        str | None, typer.Option(help="Stays together: video, player, session or file.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV clip_id,group: groups of your own.")
    ] = None,
    base_recipe: Annotated[
        str | None, typer.Option(help="Train all recipes as this one, networks aside.")
    ] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds.")] = 0,
    validation_share: Annotated[
        float, typer.Option(help="Of the clips outside a fold, to choose the epoch by.")
    ] = 0.2,
    learning_curve: Annotated[
        str | None, typer.Option(metavar="50,100,...", help="Also learn from so many clips.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Begin each network with these weights.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Folds trained at once.")] = 1,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Name every clip once, by a network that has not seen its group; goes on after a stop."""
    from tttrain.commands.cross_validate import FoldOptions
    from tttrain.commands.cross_validate import cross_validate as run_folds
    from tttrain.report.cross_validation_page import lines

    table = run_folds(
        data,
        out,
        [name.strip() for name in rows.split(",")],
        options=FoldOptions(
            folds, group, groups, seed, validation_share, FoldOptions.sizes(learning_curve or "")
        ),
        base_recipe=base_recipe,
        overrides=settings or (),
        parallel=parallel,
        device=device,
        init=init,
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
def audit(
    run_folder: RunFolder,
    data: Data,
    dataset: Dataset,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the audit; by default in the run's.")
    ] = None,
    folds: Annotated[
        Path | None, typer.Option(help="Folder of `tttrain cross-validate` on these shards.")
    ] = None,
    estimate_rate: Annotated[
        bool,
        typer.Option("--estimate-rate", help="Train a second time to tell how many are wrong."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the labels flipped for that.")] = 0,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """List labels that are probably wrong and hand them to `ttdata review`; changes none."""
    from tttrain.commands.audit import audit as find_suspects
    from tttrain.report.audit_page import audit_lines

    result = find_suspects(
        run_folder,
        data,
        dataset,
        out,
        folds=folds,
        estimate_rate=estimate_rate,
        seed=seed,
        device=device,
    )
    folder = run_folder / "audit" if out is None else out
    typer.echo(json.dumps(result) if as_json else "\n".join(audit_lines(result, folder)))


@app.command()
def quality(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="SHARDS|INDEX", help="Shards with poses, or what `tttrain index` wrote."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write; with --suggest-references a CSV.")
    ],
    references: Annotated[
        Path | None,
        typer.Option(
            help="Marked strokes: CSV clip_id,ready,contact,end, or as `ttdata annotate` exports."
        ),
    ] = None,
    reference_shards: Annotated[
        Path | None,
        typer.Option(metavar="SHARDS", help="Shards with poses that hold references, too."),
    ] = None,
    players: Annotated[
        Path | None,
        typer.Option(help="CSV player_id,hand or video_id,player_id: left or right holds the bat."),
    ] = None,
    by_player: Annotated[
        bool, typer.Option("--by-player", help="Compare each player with his own references.")
    ] = False,
    coarse: Annotated[
        bool, typer.Option("--coarse", help="Measure without poses, by where the picture moves.")
    ] = False,
    suggest: Annotated[
        bool,
        typer.Option("--suggest-references", help="Write central strokes of each class to mark."),
    ] = False,
    count: Annotated[int, typer.Option(min=3, help="With --suggest-references: of a class.")] = 6,
    pages: Annotated[
        bool, typer.Option("--pages/--no-pages", help="Write pages with films for teachers.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare strokes with marked reference strokes, phase by phase."""
    from tttrain.commands.quality import measure_strokes, quality_lines, suggest_references

    if suggest == (references is not None):
        raise typer.BadParameter("give --references CSV, or --suggest-references to make one")
    if suggest:
        table = suggest_references(data, out, count=count, players=players)
        typer.echo(table.write_json() if as_json else f"{table.height} strokes to mark: {out}")
        return
    assert references is not None
    found = measure_strokes(
        data,
        references,
        out,
        players=players,
        by_player=by_player,
        coarse=coarse,
        reference_shards=reference_shards,
        pages=pages,
    )
    typer.echo(
        found.model_dump_json() if as_json else "\n".join(quality_lines(found, out, pages=pages))
    )


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
