"""The log of a run's training clips: each epoch once, whatever happened before."""

import json
from pathlib import Path

import pytest
import torch

from ttdata.errors import InputError, VersionError
from tttrain.clip_log import ClipLog, read_clip_log
from tttrain.training.loop import ClipLogits


def answers(epoch: int) -> dict[str, tuple[float, float]]:
    return {"b": (epoch + 0.25, -1.0), "a": (-2.0, float(epoch)), "v@1-9+rest": (0.0, 0.0)}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    log = ClipLog(path, ["b", "a"])
    log.keep(0)
    for epoch in range(3):
        log.append(epoch, answers(epoch))
    found = read_clip_log(path)
    assert found.clip_ids == ("a", "b")
    assert found.epochs == (0, 1, 2)
    assert found.given.tolist() == [[-2.0, 0.25], [-2.0, 1.25], [-2.0, 2.25]]
    assert found.other.tolist() == [[0.0, -1.0], [1.0, -1.0], [2.0, -1.0]]


def test_a_resumed_run_has_each_epoch_once(tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    log = ClipLog(path, ["a", "b"])
    log.keep(0)
    for epoch in range(3):
        log.append(epoch, answers(epoch))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])  # killed within a line
    log = ClipLog(path, ["a", "b"])
    log.keep(1)  # the checkpoint is of the first epoch
    for epoch in (1, 2):
        log.append(epoch, answers(epoch))
    assert path.read_bytes() == whole


def test_a_log_of_other_clips_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text(json.dumps({"schema_version": 1, "clip_ids": ["x"]}) + "\n")
    log = ClipLog(path, ["a", "b"])
    log.keep(5)
    log.append(5, answers(5))
    assert read_clip_log(path).epochs == (5,)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    with pytest.raises(InputError, match=r"clips\.jsonl: no log of clips.*train again"):
        read_clip_log(path)
    ClipLog(path, ["a"]).keep(0)
    with pytest.raises(InputError, match="no epoch"):
        read_clip_log(path)
    line = json.dumps({"epoch": 0, "given": [1], "other": [0]})
    path.write_text(json.dumps({"schema_version": 9, "clip_ids": ["a"]}) + "\n" + line + "\n")
    with pytest.raises(VersionError, match="schema version 9"):
        read_clip_log(path)


def test_logits_of_the_label_and_of_the_best_other() -> None:
    taken = ClipLogits()
    logits = torch.tensor([[1.0, 5.0, 3.0], [1.0, 5.0, 3.0]], requires_grad=True)
    taken.add(["a", "b"], logits, torch.tensor([1, 0]))
    taken.add(["c"], logits[:1].bfloat16(), torch.tensor([2]))
    assert taken.of_all_workers() == {"a": (5.0, 3.0), "b": (1.0, 5.0), "c": (3.0, 5.0)}
    assert ClipLogits().of_all_workers() == {}
