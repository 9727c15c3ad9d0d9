"""What a person can do about rejected annotations, in a line each."""

from difflib import SequenceMatcher
from typing import get_args

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.schema import Reason
from ttdata.taxonomy import Taxonomy

_SHOWN = 5
"""So many unknown labels are shown, the most frequent first."""


def check_any_accepted(source: object, annotations: pl.DataFrame) -> None:
    """Raise AnnotationError, with the reasons, where annotations were read and none is accepted.

    Args:
        source: the source's path, for the message.
        annotations: rows as Annotation.
    """
    if annotations.is_empty() or annotations["accepted"].any():
        return
    reasons = annotations["reasons"].explode()
    counts = [
        f"{reason} {count}" for reason in get_args(Reason) if (count := (reasons == reason).sum())
    ]
    hint = "; see --taxonomy" if "unknown_label" in reasons else ""
    raise AnnotationError(
        f"{source}: none of {annotations.height} annotations is accepted "
        f"({', '.join(counts)}): the dataset has no stroke{hint}"
    )


def unknown_labels(annotations: pl.DataFrame, taxonomy: Taxonomy) -> tuple[str, ...]:
    """A line about the labels outside the taxonomy, with the classes nearest to them; or none.

    Args:
        annotations: rows as Annotation.
        taxonomy: the classes that the labels were looked for in.
    """
    unknown = annotations.filter(pl.col("reasons").list.contains("unknown_label"))
    if unknown.is_empty():
        return ()
    counts = unknown.group_by("label").len().sort(["len", "label"], descending=[True, False])
    shown = ", ".join(
        f"{label!r} {count} (nearest: {nearest_class(label, taxonomy)!r})"
        for label, count in counts.head(_SHOWN).rows()
    )
    more = f", and {counts.height - _SHOWN} more" if counts.height > _SHOWN else ""
    return (
        f"labels outside the taxonomy {taxonomy.name}: {unknown.height} of {annotations.height} "
        f"annotations: {shown}{more}; --taxonomy infer makes every label a class, "
        "--taxonomy FILE names classes and variants of your own",
    )


def nearest_class(label: str, taxonomy: Taxonomy) -> str:
    """The class whose name is most like the label; the first of several."""
    return max(
        taxonomy.classes,
        key=lambda name: SequenceMatcher(None, name.casefold(), label.casefold()).ratio(),
    )
