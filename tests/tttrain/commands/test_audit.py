"""An audit in this process: from a run with a wrong label to the review queue."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ttdata.commands.review import run_review
from ttdata.errors import InputError
from ttdata.schema import Action, Annotation, Clip, Video
from ttdata.storage.dataset import load_dataset, write_dataset
from ttdata.storage.tables import conform, read_table
from ttdata.taxonomy import Taxonomy
from tttrain.clip_log import read_clip_log
from tttrain.commands import fit as fitting
from tttrain.commands.audit import audit
from tttrain.config import ExecutionConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.relabelled import relabelled
from tttrain.evaluation.audit.table import TABLE_VERSION, AuditRow
from tttrain.report.audit_page import audit_lines
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker

CONFIG = TrainConfig(
    batch_size=6,
    optimizer=OptimizerConfig(learning_rate=0.02, momentum=0.9, momentum_milestones=()),
    schedule=ScheduleConfig(epochs=3),
    execution=ExecutionConfig(torch_threads=1, checkpoint_minutes=0),
)


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster: one worker, in this process."""
    data, shape = open_data(Path(run.info().data)), info.resolved.network.clip_shape
    assert shape is not None
    Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)


def dataset_of(shards: Path, out: Path) -> Path:
    """A dataset whose clips are those of the shards, each annotated by one person."""
    data = open_data(shards)
    records = pl.read_parquet(shards / "clips.parquet")
    ids = {"action_id": "clip_id", "annotation_id": "clip_id"}
    rows = records.with_columns(**{name: pl.col(column) for name, column in ids.items()})
    actions = rows.with_columns(
        status=pl.lit("accepted"),
        num_annotators=1,
        annotation_ids=pl.concat_list("clip_id"),
        labels=pl.concat_list("label"),
        start_spread_frames=0.0,
        end_spread_frames=0.0,
        overlaps_other=False,
    )
    annotations = rows.with_columns(annotator_id=pl.lit("x"), accepted=True)
    videos = records.with_columns(
        path=pl.lit("nowhere.mp4"), width=160, height=90, session_id=pl.lit(None, pl.String)
    )
    names = ("annotations", "annotations_accepted", "actions", "actions_accepted", "videos")
    counts = dict.fromkeys(names, records.height) | {"negatives_usable": 0}
    write_dataset(
        out,
        data._shards.dataset.model_copy(update={"counts": counts}),
        videos=conform(videos, Video),
        annotations=conform(annotations, Annotation),
        actions=conform(actions, Action),
        clips=conform(records, Clip),
    )
    return out


@pytest.fixture(scope="module")
def audited(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run on shards of which one training label is wrong, audited with the rate."""
    folder = tmp_path_factory.mktemp("audit")
    wrong = open_data(shards).clips["train"][0].clip_id
    data = relabelled(shards, {wrong: "right"}, folder / "shards")
    dataset = dataset_of(data, folder / "dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_launch", train_here)
        run = fitting.fit(CONFIG, data, folder / "run")
        result = audit(run.folder, data, dataset, estimate_rate=True)
    return {
        "run": run, "data": data, "dataset": dataset, "result": result, "wrong": wrong,
        "table": read_table(run.folder / "audit" / "audit.parquet", AuditRow, TABLE_VERSION),
    }  # fmt: skip


def test_fit_logs_every_training_clip(audited: dict[str, Any]) -> None:
    log = read_clip_log(audited["run"].clips_path)
    train = [clip.clip_id for clip in open_data(audited["data"]).clips["train"]]
    assert list(log.clip_ids) == sorted(train)
    assert log.epochs == (0, 1, 2)
    assert log.given.shape == log.other.shape == (3, 12)
    # A clip is right where its label's logit is the largest: as the epoch's accuracy counts.
    right = (log.given > log.other).mean(axis=1)
    counted = [entry["train_accuracy"] for entry in audited["run"].metrics()]
    assert right.tolist() == pytest.approx(counted)


def test_the_table_has_every_clip_and_test_clips_apart(audited: dict[str, Any]) -> None:
    table = audited["table"]
    assert table.height == 24
    learned, held = table.filter(pl.col("split") != "test"), table.filter(split="test")
    assert learned["rank"].to_list() == list(range(1, 19))
    assert held["rank"].to_list() == list(range(1, 7))
    assert table.tail(6)["split"].unique().to_list() == ["test"]
    assert learned["suspicion"].is_sorted(descending=True)
    assert table.filter(split="train")["aum"].null_count() == 0
    assert table.filter(pl.col("split") != "train")["aum"].null_count() == 12
    assert table["margin"].null_count() == 24  # no folds were given
    assert (table["suggested_label"] != table["label"]).all()
    csv = pl.read_csv(audited["run"].folder / "audit" / "audit.csv")
    assert csv["clip_id"].equals(table["clip_id"])


def test_what_it_says_in_sum(audited: dict[str, Any]) -> None:
    result, folder = audited["result"], audited["run"].folder / "audit"
    assert json.loads((folder / "audit.json").read_text()) == result
    assert result["num_clips"] == {"learn": 18, "test": 6}
    assert result["rate"]["num_flipped"] == 1
    assert result["rate"]["n"] == 11
    low, high = result["rate"]["interval"]
    assert 0 <= low <= result["rate"]["rate"] <= high <= 1
    assert sum(row["n"] for row in result["per_class"]) == 18
    assert sum(row["rate_n"] for row in result["per_class"]) == 11
    text = "\n".join(audit_lines(result, folder))
    assert "of 18 labels to look at first" in text
    assert "listed apart" in text
    page = (folder / "index.html").read_text()
    suspected = audited["table"].filter("suspected")
    assert page.count('<div class="animation">') == suspected.height
    assert 'id="test-clips"' in page
    assert "data:image/jpeg;base64," in page


def test_the_review_queue_asks_and_no_label_changes(audited: dict[str, Any]) -> None:
    dataset = load_dataset(audited["dataset"])
    suspected = audited["table"].filter("suspected")
    assert dataset.suspects["clip_id"].to_list() == suspected["clip_id"].to_list()
    labels = dict(dataset.clips.select("clip_id", "label").iter_rows())
    shown = dict(audited["table"].select("clip_id", "label").iter_rows())
    assert labels == shown
    lines = list(run_review(audited["dataset"], limit=99))
    assert sum("is probably wrong" in line for line in lines) == suspected.height
    assert sum("(a test clip)" in line for line in lines) == suspected.filter(split="test").height
    assert "is probably wrong" in (dataset.path / "report" / "index.html").read_text()


def test_the_same_again_trains_nothing(
    audited: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_launch", lambda *_: pytest.fail("trained again"))
    run, data, dataset = audited["run"], audited["data"], audited["dataset"]
    assert audit(run.folder, data, dataset, estimate_rate=True) == audited["result"]


def test_scores_out_of_folds_count(
    audited: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, classes = audited["table"], open_data(audited["data"]).classes
    truth = table.with_columns(
        truth=pl.when(clip_id=audited["wrong"]).then(pl.lit("down")).otherwise("label")
    )
    scores = [
        [0.8 if name == row["truth"] else 0.1 for name in classes] for row in truth.to_dicts()
    ]
    folds = tmp_path / "folds"
    folds.mkdir()
    predictions = truth.select("clip_id", "label", fold=1).with_columns(scores=pl.Series(scores))
    predictions.write_parquet(folds / "predictions.parquet")
    run, data, dataset = audited["run"], audited["data"], audited["dataset"]
    result = audit(run.folder, data, dataset, tmp_path / "audit", folds=folds)
    assert result["rate"] is None
    found = pl.read_parquet(tmp_path / "audit" / "audit.parquet").filter(clip_id=audited["wrong"])
    assert found["margin"].to_list() == pytest.approx([-0.7])
    assert found["suggested_label"].to_list() == ["down"]
    list(run_review(dataset, suspects=run.folder / "audit" / "audit.csv"))  # as it was
    assert not caplog.records
    predictions.head(20).write_parquet(folds / "predictions.parquet")
    audit(run.folder, data, dataset, tmp_path / "audit", folds=folds)
    assert "scores of 20 of 24 clips" in caplog.text
    list(run_review(dataset, suspects=run.folder / "audit" / "audit.csv"))
    changed = predictions.with_columns(label=pl.lit("left"))
    changed.write_parquet(folds / "predictions.parquet")
    with pytest.raises(InputError, match="cross-validate again"):
        audit(run.folder, data, dataset, tmp_path / "audit", folds=folds)


def test_of_one_class_nothing_is_doubted(
    audited: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fit` has nothing to log of it, and training again would not help."""
    monkeypatch.setattr(Taxonomy, "classes", ("down",))
    with pytest.raises(InputError, match="one class, 'down': no other label can be meant"):
        audit(audited["run"].folder, audited["data"], audited["dataset"])


def test_other_labels_are_refused(audited: dict[str, Any], shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other clips, labels or splits"):
        audit(audited["run"].folder, shards, audited["dataset"])
    other = dataset_of(shards, tmp_path / "dataset")
    with pytest.raises(InputError, match="the label 'down', in the shards 'right'"):
        audit(audited["run"].folder, audited["data"], other)
