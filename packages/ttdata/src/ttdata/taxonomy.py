"""Stroke taxonomies: three levels, spelling variants, and the paper's 20 strokes (table I)."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from ttdata.settings import FrozenModel

Name = Annotated[str, AfterValidator(lambda text: normalize("NFC", text))]
"""A class's name, in the form of Unicode in which labels are read."""


class Stroke(FrozenModel):
    """One class: its name and its three levels (type, hand, technique), null where unknown."""

    label: Name
    type: str | None = None
    hand: str | None = None
    technique: str | None = None


def _key(text: str) -> str:
    """Fold case, punctuation and spacing: `Off. Forehand_Hit` -> `off forehand hit`."""
    folded = normalize("NFC", text.replace("_", " ").casefold())
    return " ".join(re.findall(r"\w+", folded))


def _other_side(key: str) -> str:
    """A folded name with the words left and right exchanged."""
    sides = {"left": "right", "right": "left"}
    return " ".join(sides.get(word, word) for word in key.split())


class Taxonomy(FrozenModel):
    """An ordered list of stroke classes and an optional rejection class.

    The class index of a model is the position in `classes`: strokes in order, rejection last.
    """

    name: str
    strokes: tuple[Stroke, ...]
    negative: Name | None = Field(default=None, description="name of the rejection class")
    variants: dict[str, str] = Field(
        default_factory=dict, description="other spellings: a variant's words -> canonical words"
    )
    mirrored: dict[Name, Name] = Field(
        default_factory=dict,
        description="classes that a mirror exchanges, or that stay, where their names do not tell",
    )

    @model_serializer(mode="wrap")
    def _as_before(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `mirrored` where nothing is: files and hashes stay as they were without it."""
        found: dict[str, Any] = values(self)
        return found if self.mirrored else {k: v for k, v in found.items() if k != "mirrored"}

    @model_validator(mode="after")
    def _unique(self) -> "Taxonomy":
        keys = [_key(label) for label in self.classes]
        if not self.strokes:
            raise ValueError(f"taxonomy {self.name!r} has no stroke")
        for label, key in zip(self.classes, keys, strict=True):
            if not key or keys.count(key) > 1:
                raise ValueError(f"taxonomy {self.name!r}: label {label!r} is empty or there twice")
        return self

    @model_validator(mode="after")
    def _mirror_twice_and_it_is_back(self) -> "Taxonomy":
        where = f"taxonomy {self.name!r}: mirrored"
        for label in (*self.mirrored, *self.mirrored.values()):
            if self.canonical(label) is None:
                raise ValueError(f"{where}: {label!r} is no class")
        found: dict[str, str] = {}
        for label, image in self._told_images:
            if found.setdefault(label, image) != image:
                raise ValueError(
                    f"{where}: {label!r} becomes {found[label]!r} and {image!r}, expected one"
                )
        return self

    @property
    def _told_images(self) -> list[tuple[str, str]]:
        """What `mirrored` says of each class, in both directions."""
        pairs = [tuple(self._names[self._fold(x)] for x in pair) for pair in self.mirrored.items()]
        return [found for first, second in pairs for found in ((first, second), (second, first))]

    @property
    def mirror_images(self) -> dict[str, str]:
        """What a clip's label becomes in a mirror, of the classes where it is another one.

        Classes whose names differ by the words left and right alone exchange them; `mirrored` adds
        pairs, and takes classes out that are named there with themselves.

        >>> Taxonomy.infer(["left hook", "right hook", "jab"]).mirror_images
        {'left hook': 'right hook', 'right hook': 'left hook'}
        """
        told = dict(self._told_images)
        images = {}
        for label in self.classes:
            image = told.get(label) or self._names.get(_other_side(_key(label)), label)
            if image != label and (label in told or image not in told):
                images[label] = image
        return images

    @property
    def classes(self) -> tuple[str, ...]:
        """All class names, in the order of the model's outputs."""
        strokes = tuple(stroke.label for stroke in self.strokes)
        return strokes if self.negative is None else (*strokes, self.negative)

    def canonical(self, label: str | None) -> str | None:
        """The canonical name of a label in any spelling, or None where the taxonomy has none.

        >>> TTSTROKE21.canonical("Off. forehand hit")
        'Offensive Forehand Hit'
        """
        return None if label is None else self._names.get(self._fold(label))

    def stroke(self, label: str) -> Stroke | None:
        """The levels of a canonical stroke label; None for the rejection class."""
        return next((stroke for stroke in self.strokes if stroke.label == label), None)

    @cached_property
    def _words(self) -> dict[str, str]:
        return {_key(variant): _key(name) for variant, name in self.variants.items()}

    @cached_property
    def _names(self) -> dict[str, str]:
        return {_key(label): label for label in self.classes}

    def _fold(self, label: str) -> str:
        key = _key(label)
        if key in self._words:
            return self._words[key]
        return " ".join(self._words.get(word, word) for word in key.split())

    @classmethod
    def infer(cls, labels: Iterable[str], name: str = "inferred") -> "Taxonomy":
        """A taxonomy with one class per distinct label, in sorted order.

        Spellings that differ in case, punctuation or spacing only are one class, named as the
        first of them. A label that TTStroke-21 reads as its rejection class becomes the rejection
        class. Labels without a letter or digit are no class.

        Raises:
            ValueError: if no label is left.
        """
        spellings: dict[str, str] = {}
        for label in sorted(set(labels)):
            spellings.setdefault(_key(label), label)
        spellings.pop("", None)
        rejections = [n for n in spellings.values() if TTSTROKE21.canonical(n) == "Negative"]
        kept = [n for n in spellings.values() if n not in rejections]
        return cls(
            name=name,
            strokes=tuple(Stroke(label=label) for label in kept),
            negative=rejections[0] if rejections else None,
            variants={other: rejections[0] for other in rejections[1:]},
        )


def _ttstroke21() -> Taxonomy:
    families = (
        ("Defensive", ("Backspin", "Block", "Push")),
        ("Offensive", ("Flip", "Hit", "Loop")),
        ("Serve", ("Backspin", "Loop", "Sidespin", "Topspin")),
    )
    return Taxonomy(
        name="ttstroke21",
        strokes=tuple(
            Stroke(label=f"{kind} {hand} {technique}", type=kind, hand=hand, technique=technique)
            for kind, techniques in families
            for hand in ("Backhand", "Forehand")
            for technique in techniques
        ),
        negative="Negative",
        variants={
            "Def": "Defensive",
            "Off": "Offensive",
            "Non strokes samples": "Negative",
            "Non stroke": "Negative",
            "Unknown": "Negative",
        },
    )


TTSTROKE21 = _ttstroke21()
"""The paper's taxonomy: 20 strokes in table I's order, and the rejection class `Negative`."""
