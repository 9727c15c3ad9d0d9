"""What a label becomes in a mirror: sides exchanged, hands of the player kept."""

import pytest

from ttdata.taxonomy import TTSTROKE21, Stroke, Taxonomy


def taxonomy(mirrored: dict[str, str], *labels: str) -> Taxonomy:
    strokes = tuple(Stroke(label=label) for label in labels)
    return Taxonomy(name="mine", strokes=strokes, negative="Rest", mirrored=mirrored)


def test_names_that_differ_by_left_and_right() -> None:
    labels = ("Left hook", "right_HOOK", "Jab", "Left jab", "upright", "left right", "right left")
    assert taxonomy({}, *labels).mirror_images == {
        "Left hook": "right_HOOK",
        "right_HOOK": "Left hook",
        "left right": "right left",
        "right left": "left right",
    }


def test_a_left_handers_forehand_is_a_forehand() -> None:
    assert TTSTROKE21.mirror_images == {}


def test_pairs_that_names_do_not_tell() -> None:
    assert taxonomy({"gauche": "DROITE"}, "Gauche", "Droite", "Haut").mirror_images == {
        "Gauche": "Droite",
        "Droite": "Gauche",
    }


def test_what_is_told_counts_more_than_names() -> None:
    sides = "left turn", "right turn", "u turn"
    assert taxonomy({"left turn": "left turn"}, *sides).mirror_images == {}
    assert taxonomy({"left turn": "u turn"}, *sides).mirror_images == {
        "left turn": "u turn",
        "u turn": "left turn",
    }


@pytest.mark.parametrize(
    ("mirrored", "message"),
    [
        ({"a": "b", "b": "c"}, r"mirrored: 'b' becomes 'a' and 'c', expected one"),
        ({"a": "c", "b": "c"}, r"mirrored: 'c' becomes 'a' and 'b', expected one"),
        ({"a": "a", "b": "a"}, r"mirrored: 'a' becomes 'a' and 'b', expected one"),
        ({"a": "d"}, r"taxonomy 'mine': mirrored: 'd' is no class"),
    ],
)
def test_no_involution(mirrored: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        taxonomy(mirrored, "a", "b", "c")


def test_both_directions_may_be_told() -> None:
    assert taxonomy({"a": "b", "b": "a"}, "a", "b").mirror_images == {"a": "b", "b": "a"}
