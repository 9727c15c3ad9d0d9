"""How many planted errors an audit finds: precision, recall, AUC and rate, by kind and seed.

    python benchmarks/bench_audit.py scratch --dataset my_dataset --shards shards \
        --recipe small --group video --out benchmarks/results/audit_cpu2_DATE.md

Plants each kind of error with each seed in a copy of a curated and divided dataset, extracts (the
pixels of the shards given are linked, so that only shifted clips are computed), trains, cross-
validates, audits, and compares with what was planted. Clean data are audited, too, for the rate
where nothing is wrong. Goes on after a stop; prints a line per audit and writes the table.

An audit trains eight networks (once, again with flipped labels, six folds); cheaper, for a first
look: `--folds 4 --set schedule.epochs=20`.

    python benchmarks/bench_audit.py --measure AUDIT.csv PLANTED.csv

measures one audit that is there already.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import polars as pl

from tttrain.evaluation.audit.suspicion import percentiles

KINDS = ("flips", "hands", "groups", "negatives", "bounds")
OPTIONS = (
    *("dataset", "shards", "extract", "pose"),
    *("recipe", "set", "folds", "group", "groups", "rate"),
)
"""What decides a result, beside kind and seed."""
HEAD = (
    "| kind | seed | clips | planted | precision@k | recall@2k | AUC | wrong in training "
    "| rate, 95 % interval |"
)


def measures(audit: pl.DataFrame, planted: Sequence[str]) -> dict[str, float]:
    """How the clips that were made wrong are placed; test clips, listed apart, do not count.

    Args:
        audit: `clip_id, split, suspicion, rank`, as `audit.csv`.
        planted: clip ids that are wrong.

    Returns:
        `n` clips and `k` wrong ones; `precision` among the k most suspected, `recall` among the
        2 k most suspected, `auc`: how probably a wrong clip is more suspect than a right one,
        ties counting half. NaN where none, or all, are wrong. `truth`: the share of training clips
        that are wrong, which the rate estimates.
    """
    listed = audit.filter(pl.col("split") != "test").sort("rank")
    wrong = listed["clip_id"].is_in(list(planted)).to_numpy()
    n, k = len(wrong), int(wrong.sum())
    counts = {"n": n, "k": k, "truth": float(wrong[listed["split"].to_numpy() == "train"].mean())}
    if k in (0, n):
        return counts | dict.fromkeys(("precision", "recall", "auc"), float("nan"))
    ranks = percentiles(listed["suspicion"].to_numpy()) * n + 0.5
    above = ranks[wrong].sum() - k * (k + 1) / 2
    return counts | {
        "precision": float(np.mean(wrong[:k])),
        "recall": float(np.sum(wrong[: 2 * k]) / k),
        "auc": float(above / (k * (n - k))),
    }


def measured(audit: Path, planted: Path | None) -> dict[str, float]:
    """`measures` of two files; None: nothing was planted."""
    wrong = [] if planted is None else pl.read_csv(planted, infer_schema=False)["clip_id"].to_list()
    return measures(pl.read_csv(audit), wrong)


def steps(asked: argparse.Namespace, kind: str, seed: int, folder: Path) -> list[list[str]]:
    """Command lines of one case; each keeps what it finds finished."""
    at = {name: str(folder / name) for name in ("dataset", "shards", "run", "folds", "audit")}
    errors = ("flips", "0") if kind == "clean" else (kind, str(asked.rate))
    training = ["--recipe", asked.recipe, *sets([*asked.set, f"seed={seed}"])]
    folding = ["--recipes", asked.recipe, "--folds", str(asked.folds), "--group", asked.group]
    if asked.groups is not None:
        folding += ["--groups", str(asked.groups)]
    # Clean data are a copy, too: an audit hands its suspects to the dataset.
    plant = ["ttdata", "plant", str(asked.dataset), "--out", at["dataset"], "--kind", errors[0]]
    plant += ["--rate", errors[1], "--seed", str(seed)]
    extract = ["ttflow", "extract", at["dataset"], "--out", at["shards"], *asked.extract.split()]
    learn = ["tttrain", "fit", "--data", at["shards"], "--out", at["run"], *training]
    validate = ["tttrain", "cross-validate", "--data", at["shards"], "--out", at["folds"]]
    validate += [*folding, *sets([*asked.set, f"seed={seed}"])]
    judge = ["tttrain", "audit", at["run"], "--data", at["shards"], "--dataset", at["dataset"]]
    judge += ["--out", at["audit"], "--folds", at["folds"], "--estimate-rate", "--seed", str(seed)]
    pose = [["ttflow", "pose", at["shards"]]] if asked.pose else []
    return [plant, extract, *pose, learn, validate, judge]


def sets(settings: Sequence[str]) -> list[str]:
    """Each setting with its option."""
    return [word for item in settings for word in ("--set", item)]


def link_pixels(shards: Path, folder: Path) -> None:
    """Begin a shards folder with the parts there are; labels of its own, and new parts beside."""
    for name in ("parts", "manifests", "pose"):
        if not (shards / name).is_dir():
            continue
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (shards / name).glob("*"):
            link = folder / name / path.name
            if not link.exists():
                link.symlink_to(path.absolute())
    if not (folder / "shards.json").exists():
        (folder / "shards.json").write_bytes((shards / "shards.json").read_bytes())


def case(asked: argparse.Namespace, kind: str, seed: int) -> dict[str, Any]:
    """Plant, train, audit, measure; what was measured before is read."""
    folder = asked.folder / f"{kind}_{seed}"
    path, options = folder / "measured.json", {name: str(vars(asked)[name]) for name in OPTIONS}
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        link_pixels(asked.shards, folder / "shards")
        for words in steps(asked, kind, seed, folder):
            print(" ".join(words), file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", *words], check=True)
        planted = None if kind == "clean" else folder / "dataset" / "planted.csv"
        found: dict[str, Any] = measured(folder / "audit" / "audit.csv", planted)
        summary = json.loads((folder / "audit" / "audit.json").read_text())
        path.write_text(json.dumps(found | {"rate": summary["rate"], "asked": options}))
    stored = json.loads(path.read_text())
    if stored.get("asked", options) != options:
        sys.exit(f"{path}: measured with {stored['asked']}, now {options}; take another folder")
    return {"kind": kind, "seed": seed, **stored}


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    low, high = row["rate"]["interval"]
    found = [row[name] for name in ("precision", "recall", "auc")]
    scores = " | ".join("–" if math.isnan(value) else f"{value:.2f}" for value in found)
    rate = f"{row['rate']['rate']:.3f}, {low:.3f} to {high:.3f}"
    head = f"| {row['kind']} | {row['seed']} | {row['n']} | {row['k']}"
    return f"{head} | {scores} | {row['truth']:.3f} | {rate} |"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All cases by kind, then mean and range over the seeds of each kind."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    ordered = sorted(rows, key=lambda row: (kinds.index(row["kind"]), row["seed"]))
    lines = [HEAD, "|---" * 9 + "|", *map(line, ordered), ""]
    for kind in kinds:
        mine = [row for row in ordered if row["kind"] == kind]
        scores = {name: [row[name] for row in mine] for name in ("precision", "recall", "auc")}
        rates = [row["rate"]["rate"] for row in mine]
        scores |= {"rate": rates}
        scores |= {"rate's error": [r - row["truth"] for r, row in zip(rates, mine, strict=True)]}
        told = ", ".join(
            f"{name} {_range(values)}"
            for name, values in scores.items()
            if not math.isnan(values[0])
        )
        lines.append(f"- {kind} (n = {len(mine)}; mean, range): {told}")
    return "\n".join(lines) + "\n"


def _range(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="scratch, kept between calls")
    parser.add_argument("--measure", type=Path, nargs=2, metavar=("AUDIT", "PLANTED"))
    parser.add_argument("--dataset", type=Path, help="curated and divided")
    parser.add_argument("--shards", type=Path, help="made from it")
    parser.add_argument("--extract", default="", help="further options of `ttflow extract`")
    parser.add_argument("--pose", action="store_true", help="also run `ttflow pose`")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--group", default="video")
    parser.add_argument("--groups", type=Path, help="CSV, with --group file")
    parser.add_argument("--kinds", default=",".join(("clean", *KINDS)))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="of so many seeds")
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--out", type=Path, help="where the table is written")
    asked = parser.parse_args()
    if asked.measure is None and None in (asked.folder, asked.dataset, asked.shards):
        parser.error("expected a folder, --dataset and --shards, or --measure")
    return asked


def main() -> None:
    """Run all cases, or measure one audit."""
    asked = arguments()
    if asked.measure is not None:
        print(json.dumps(measured(*asked.measure)))
        return
    rows = []
    # All kinds of a seed before the next, so that what is stopped is a table already.
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for kind in asked.kinds.split(","):
            rows.append(case(asked, kind, seed))
            print(line(rows[-1]), flush=True)
            if asked.out is not None:
                asked.out.write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
