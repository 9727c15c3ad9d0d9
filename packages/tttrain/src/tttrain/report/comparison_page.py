"""The table of a comparison as Markdown and as one HTML file without network."""

from pathlib import Path
from typing import Any

from ttdata.storage.atomic import write_text
from ttdata.storage.html import write_page
from tttrain.evaluation.metrics import Accuracy
from tttrain.report.charts import interval_bar
from tttrain.report.summary import baselines_left_out, leakage, percent

NAMES = {
    "siamese": "Siamese (SSTC)",
    "siamese_no_augmentation": "Siamese, no augmentation",
    "rgb": "RGB",
    "flow": "Flow",
    "early": "Early fusion",
    "late": "Late fusion",
    "i3d_rgb": "I3D, RGB",
    "i3d_flow": "I3D, flow",
    "i3d_two_stream": "Two-Stream I3D",
    "siamese_pooled": "Siamese, pooled head",
    "siamese_pose": "Siamese with pose",
    "siamese_pose_turned": "Siamese with pose in space, fused late",
    "pose": "Pose",
    "small": "Recipe small",
    "small_turned": "Recipe small_turned",
    "pose_svm": "Pose, support vector machine",
}
_METHODS = ("test", "test_vote", "test_avg")


def write_pages(out: Path, table: dict[str, Any]) -> None:
    """Write `table.md` and `index.html` beside `table.json`."""
    write_text(out / "table.md", markdown(table))
    content = {
        "table": table,
        "names": NAMES,
        "leakage": leakage(table["split_info"]),
        "left_out": baselines_left_out(table),
        "bars": _bars(table),
    }
    template = Path(__file__).with_name("templates") / "comparison.html.j2"
    write_page(out / "index.html", template, content, {"percent": percent, "p_value": p_value})


def _bars(table: dict[str, Any]) -> dict[str, str]:
    items = {row["name"]: row["methods"]["test"] for row in table["rows"]} | table["baselines"]
    return {
        name: interval_bar(item["accuracy"] or 0.0, *item["interval"])
        for name, item in items.items()
    }


def markdown(table: dict[str, Any]) -> str:
    """The table, what it was measured on, and what it leaks."""
    first = NAMES[table["rows"][0]["name"]]
    head = [
        *("network", "Test", "Test, 95 % interval", "TestVote", "TestAvg", "n"),
        *("paper: Test / Vote / Avg", "parameters", "epochs", "training s"),
        f"against {first}: only it / only this right, p",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [_network_line(row) for row in table["rows"]]
    for name, item in table["baselines"].items():
        low, high = item["interval"]
        lines.append(
            f"| baseline: {name} | {percent(item['accuracy'])} | {percent(low)} to {percent(high)} "
            f"| | | {item['n']} | | | | | |"
        )
    clips = ", ".join(f"{count} {name}" for name, count in table["num_clips"].items())
    largest = table["largest_class"]
    if left_out := baselines_left_out(table):
        lines += ["", f"{left_out[0].upper()}{left_out[1:]}."]
    lines += [
        "",
        f"Clips: {clips}; {table['num_classes']} classes; largest of the test clips: "
        f"{largest['label']}, {percent(largest['share'])}. {leakage(table['split_info'])}.",
        "",
        "Paper: Martin et al., CBMI 2018, table II, 116 test clips of 21 classes split by stroke: "
        "other data, for orientation only. p: exact McNemar test on central windows.",
    ]
    return "\n".join(lines) + "\n"


def _network_line(row: dict[str, Any]) -> str:
    test, vote, avg = (row["methods"][name] for name in _METHODS)
    low, high = test["interval"]
    paper = " / ".join("–" if value is None else f"{100 * value:.1f}" for value in row["paper"])
    found = row["mcnemar"]
    versus = "–"
    if found is not None:
        p = p_value(found["p"])
        sign = "" if p.startswith("<") else "= "
        versus = f"{found['only_it_right']} / {found['only_this_right']}, p {sign}{p}"
    return (
        f"| {NAMES[row['name']]} | {percent(test['accuracy'])} | {percent(low)} to {percent(high)} "
        f"| {percent(vote['accuracy'])} | {percent(avg['accuracy'])} | {test['n']} | {paper} "
        f"| {row['parameters']:,} | {row['epochs']} | {row['training_seconds']:.0f} | {versus} |"
    )


def p_value(value: float) -> str:
    """To three digits, never 0.

    >>> p_value(0.0004), p_value(0.25)
    ('< 0.001', '0.250')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def lines(table: dict[str, Any]) -> list[str]:
    """The table for a terminal, a line per row."""
    items = [(NAMES[row["name"]], row["methods"]["test"]) for row in table["rows"]]
    items += [(f"baseline: {name}", item) for name, item in table["baselines"].items()]
    width = max(len(name) for name, _ in items)
    found = [f"{name:<{width}}  {Accuracy(item['correct'], item['n'])}" for name, item in items]
    if left_out := baselines_left_out(table):
        found.append(left_out)
    return [*found, leakage(table["split_info"])]
