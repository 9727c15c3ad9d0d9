"""Numbers as pages say them."""

from collections.abc import Callable
from datetime import datetime
from shlex import quote

from ttdata.annotate.store.wording import number_of
from ttdata.annotate.work.golden import Share

_GOOD, _FAIR = 0.8, 0.667
"""Source: Krippendorff, Content Analysis: below 0.667 discard, from 0.8 on rely on it."""


def duration(milliseconds: int) -> str:
    """How long something took.

    >>> duration(0), duration(59_000), duration(61 * 60_000)
    ('0 min', '1 min', '1 h 01 min')
    """
    minutes = -(-milliseconds // 60_000)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def clock_length(seconds: float) -> str:
    """The length of a video.

    >>> clock_length(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def moment(milliseconds: int) -> str:
    """A moment by the clock of the machine that serves."""
    return f"{datetime.fromtimestamp(milliseconds / 1000).astimezone():%Y-%m-%d %H:%M}"


def percent(share: float | None) -> str:
    """A share.

    >>> percent(0.256), percent(None)
    ('26 %', '-')
    """
    return "-" if share is None else f"{share:.0%}".replace("%", " %")


def interval(bounds: tuple[float, float] | None) -> str:
    """The 95 % interval of a share.

    >>> interval((0.094, 0.906))
    '9 to 91 %'
    """
    return "-" if bounds is None else f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %"


def counted(share: Share) -> str:
    """A share with what it was counted from.

    >>> counted(Share(hits=8, of=10, share=0.8, interval=(0.49, 0.943)))
    '8 of 10 (49 to 94 %)'
    """
    if not share.of:
        return "-"
    return f"{share.hits} of {share.of} ({interval(share.interval)})"


def frames(value: float | None) -> str:
    """A distance in frames; the sign of an offset is shown.

    >>> frames(2.5), frames(-1.0), frames(None)
    ('2.5', '-1', '-')
    """
    return "-" if value is None else f"{value:.1f}".removesuffix(".0")


def in_frames(value: float | None) -> str:
    """A distance in frames, with its unit.

    >>> in_frames(1.0), in_frames(2.5), in_frames(None)
    ('1 frame', '2.5 frames', '-')
    """
    return "-" if value is None else number_of(float(frames(value)), "frame")


def alpha(value: float | None) -> str:
    """Krippendorff's alpha.

    >>> alpha(0.8124), alpha(None)
    ('0.81', '-')
    """
    return "-" if value is None else f"{value:.2f}"


def alpha_meaning(value: float | None) -> str:
    """What to make of an alpha."""
    if value is None:
        return "nothing can disagree yet"
    if value >= _GOOD:
        return "good: the names can be relied on"
    if value >= _FAIR:
        return "fair: look at what gets mixed up"
    return "low: talk about the names that get mixed up before going on"


def shell(text: str) -> str:
    """A path as a terminal takes it.

    >>> shell("my project")
    "'my project'"
    """
    return quote(text)


FILTERS: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        *(duration, clock_length, moment, percent, interval, counted, frames, in_frames),
        *(alpha, alpha_meaning, shell, number_of),
    )
}
"""For templates."""
