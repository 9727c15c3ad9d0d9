"""The lines printed beside every accuracy."""

import pytest

from tttrain.report.summary import leakage

SPLIT = {"strategy": "grouped", "group": "player", "leakage": 0.25}


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({}, "is also in train)"),  # a run of an earlier release
        ({"unknown_group_clips": 0}, "is also in train)"),
        ({"unknown_group_clips": 3}, "is also in train; 3 of unknown player left out)"),
    ],
)
def test_leakage_tells_how_many_clips_it_leaves_out(more: dict[str, int], end: str) -> None:
    line = leakage(SPLIT | more)
    begin = "split: grouped by player, leakage 25.0% (validation and test clips whose player "
    assert line == begin + end
