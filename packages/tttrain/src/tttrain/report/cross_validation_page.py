"""The table of a cross-validation as Markdown, for a terminal, and as one HTML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ttdata.storage.atomic import write_text
from ttdata.storage.html import write_page
from tttrain.evaluation.metrics import Accuracy
from tttrain.recipes import JOINED
from tttrain.report.charts import Series, interval_bar, line_chart
from tttrain.report.comparison_page import NAMES, p_value
from tttrain.report.page import BASELINE_NAMES, class_content, matrix_content
from tttrain.report.summary import baselines_left_out, percent

_CURVES = ("background", "pose + SVM")
"""Baselines that a learning curve shows beside the networks."""


def write_pages(out: Path, table: Mapping[str, Any]) -> None:
    """Write `table.md` and `index.html` beside `cross_validation.json`."""
    write_text(out / "table.md", markdown(table))
    template = Path(__file__).with_name("templates") / "cross_validation.html.j2"
    filters = {"percent": percent, "p_value": p_value}
    write_page(out / "index.html", template, _content(table), filters)


def _content(table: Mapping[str, Any]) -> dict[str, Any]:
    items = {row["name"]: row["methods"]["test"] for row in table["rows"]} | table["baselines"]
    return {
        "table": table,
        "joined": tuple(JOINED),
        "names": {row["name"]: network_name(row["name"]) for row in table["rows"]},
        "baseline_names": BASELINE_NAMES,
        "divided": divided(table),
        "left_out": baselines_left_out(table),
        "begun": begun(table),
        "bars": {
            name: interval_bar(item["accuracy"] or 0.0, *item["interval"])
            for name, item in items.items()
        },
        "details": [
            {
                "name": row["name"],
                "matrix": matrix_content(row | {"classes": table["classes"]}),
                "classes": class_content(row | {"classes": table["classes"]}),
            }
            for row in table["rows"]
        ],
        "curve": _curve(table),
        "sizes": [_size(point) for point in table["learning_curve"]],
    }


def network_name(recipe: str) -> str:
    """How a recipe's network is called in a table."""
    return NAMES.get(recipe, recipe)


def divided(table: Mapping[str, Any]) -> str:
    """How the clips were divided, and what that leaks, in words."""
    by = "groups of a table" if table["group"] == "file" else f"{table['group']}s"
    return (
        f"{table['num_clips']} clips in {table['num_groups']} {by}, {len(table['folds'])} folds, "
        f"seed {table['seed']}; leakage {table['leakage']:.1%} (clips whose group the network that "
        "names them has seen)"
    )


def begun(table: Mapping[str, Any]) -> str:
    """Whose weights all networks began with, in words; empty where they began at random."""
    source = table.get("init")
    return f"all networks were begun with the weights of {source}" if source else ""


def _curve(table: Mapping[str, Any]) -> str | None:
    """A chart of accuracy over the number of clips learned from; None where none was asked for."""
    points = table["learning_curve"]
    if not points:
        return None
    sizes = [_mean_train(table, item["size"]) for item in points]
    series = [
        Series(name, "train", [point["rows"][name]["accuracy"] for point in points])
        for name in points[0]["rows"]
    ]
    series += [
        Series(name, "validation", [point["baselines"][name]["accuracy"] for point in points])
        for name in _CURVES
        if all(name in point["baselines"] for point in points)
    ]
    return line_chart(sizes, series, y_max=1.0, percent=True)


def _mean_train(table: Mapping[str, Any], size: int | None) -> float:
    """How many clips a fold learns from: at most so many of all that it has."""
    all_clips: list[int] = [fold["num_clips"]["train"] for fold in table["folds"]]
    counts = all_clips if size is None else [min(size, count) for count in all_clips]
    return round(sum(counts) / len(counts), 1)


def _size(point: Mapping[str, Any]) -> str:
    return "all" if point["size"] is None else str(point["size"])


def markdown(table: Mapping[str, Any]) -> str:
    """The table, how the clips were divided, and the learning curve."""
    baselines = list(table["baselines"])
    head = ["", "accuracy", "95 % interval", "n", "worst and best fold"]
    head += [f"p against {name}" for name in baselines]
    if len(table["rows"]) > 1:
        head.append(f"p against {network_name(table['rows'][0]['name'])}")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [_network_line(row, len(table["rows"]) > 1) for row in table["rows"]]
    empty = " |" * (len(head) - 4)
    for name, item in table["baselines"].items():
        lines.append(f"| baseline: {name} {_figures(item)} |{empty}")
    lines += ["", f"{divided(table)}."]
    if source := begun(table):
        lines += ["", f"{source}."]
    if left_out := baselines_left_out(table):
        lines += ["", f"{left_out}."]
    lines += ["", "Central windows; p: exact two-sided McNemar test on the same clips.", ""]
    return "\n".join(lines + _curve_lines(table))


def _figures(item: Mapping[str, Any]) -> str:
    low, high = item["interval"]
    return f"| {percent(item['accuracy'])} | {percent(low)} to {percent(high)} | {item['n']}"


def _network_line(row: Mapping[str, Any], several: bool) -> str:
    shares = [fold["accuracy"] for fold in row["folds"]]
    cells = [f"{percent(min(shares))} to {percent(max(shares))}"]
    cells += [p_value(item["p"]) for item in row["against_baselines"].values()]
    if several:
        cells.append("–" if row["mcnemar"] is None else p_value(row["mcnemar"]["p"]))
    figures = _figures(row["methods"]["test"])
    return f"| {network_name(row['name'])} {figures} | {' | '.join(cells)} |"


def _curve_lines(table: Mapping[str, Any]) -> list[str]:
    points = table["learning_curve"]
    if not points:
        return []
    names = [*points[0]["rows"], *points[0]["baselines"]]
    lines = [f"| clips to learn from | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for point in points:
        found = point["rows"] | point["baselines"]
        cells = [percent(found[name]["accuracy"]) if name in found else "–" for name in names]
        lines.append(f"| {_size(point)} | {' | '.join(cells)} |")
    return [*lines, ""]


def lines(table: Mapping[str, Any]) -> list[str]:
    """The table for a terminal, a line per row."""
    items = [(network_name(row["name"]), row["methods"]["test"]) for row in table["rows"]]
    items += [(f"baseline: {name}", item) for name, item in table["baselines"].items()]
    width = max(len(name) for name, _ in items)
    found = [f"{name:<{width}}  {Accuracy(item['correct'], item['n'])}" for name, item in items]
    for row in table["rows"]:
        if (item := row["against_baselines"].get("background")) is not None:
            found.append(f"{network_name(row['name'])} against background: p {p_value(item['p'])}")
    if left_out := baselines_left_out(table):
        found.append(left_out)
    return [*found, divided(table)]
