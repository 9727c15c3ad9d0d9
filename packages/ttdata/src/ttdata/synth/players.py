"""The players of a synthetic source: build, looks and habits, as pure functions of the seed."""

from dataclasses import dataclass, replace

import numpy as np

from ttdata.synth.config import SynthConfig

# Streams of random numbers, as in plan.py: no two have one number.
_PLAYER, _HANDS, _SESSION = 0, 1, 7


@dataclass(frozen=True)
class Player:
    """Build, looks and habits of a person; colours are RGB, 0 to 255."""

    player_id: str
    index: int
    height_m: float
    girth: float
    handedness: int
    tempo: float
    amplitude: float
    crouch_m: float
    lean_rad: float
    ready_fru: tuple[float, float, float]
    shirt: tuple[int, int, int]
    stripe: tuple[int, int, int]
    shorts: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shoes: tuple[int, int, int]


def make_player(config: SynthConfig, index: int) -> Player:
    """The player with this index: the same in all his videos."""
    draw = np.random.default_rng([config.seed, _PLAYER, index])
    order = np.random.default_rng([config.seed, _HANDS]).permutation(config.num_players)
    lefts = round(config.left_handed_share * config.num_players)
    skin = _SKINS[draw.integers(len(_SKINS))]
    hair = _HAIRS[draw.integers(len(_HAIRS))]
    shirt, shorts, stripe = (_vivid(draw) for _ in range(3))
    ready = np.array([0.42, 0.16, 1.0]) + draw.uniform(-0.05, 0.05, 3)
    return Player(
        player_id=f"player_{index:02d}",
        index=index,
        height_m=float(draw.uniform(1.66, 1.86)),
        girth=float(draw.uniform(0.85, 1.2)),
        handedness=-1 if index in order[:lefts] else 1,
        tempo=float(draw.uniform(0.92, 1.12)),
        amplitude=float(draw.uniform(0.92, 1.08)),
        crouch_m=float(draw.uniform(0.06, 0.13)),
        lean_rad=float(draw.uniform(0.28, 0.42)),
        ready_fru=(float(ready[0]), float(ready[1]), float(ready[2])),
        shirt=shirt,
        stripe=stripe,
        shorts=shorts,
        skin=skin,
        hair=hair,
        shoes=(235, 235, 235) if draw.random() < 0.6 else (60, 60, 70),
    )


def in_session(config: SynthConfig, player: Player, session: int) -> Player:
    """The player on one day: other clothes, habits a little changed.

    Args:
        config: its `grades.session_spread` scales the change of the habits.
        player: as he is on the whole.
        session: the session's number, of all players'.
    """
    draw = np.random.default_rng([config.seed, _SESSION, session])
    tempo, amplitude, crouch, lean, *hand = config.grades.session_spread * draw.normal(size=7)
    ready = np.array(player.ready_fru) + 0.01 * np.array(hand)
    shirt, shorts, stripe = (_vivid(draw) for _ in range(3))
    return replace(
        player,
        tempo=player.tempo * float(np.exp(0.015 * tempo)),
        amplitude=player.amplitude * float(np.exp(0.02 * amplitude)),
        crouch_m=player.crouch_m + float(0.006 * crouch),
        lean_rad=player.lean_rad + float(0.015 * lean),
        ready_fru=(float(ready[0]), float(ready[1]), float(ready[2])),
        shirt=shirt,
        stripe=stripe,
        shorts=shorts,
    )


_SKINS = ((236, 196, 168), (224, 178, 144), (198, 148, 112), (150, 104, 76), (106, 72, 54))
_HAIRS = ((40, 30, 24), (88, 58, 34), (146, 106, 58), (24, 22, 24), (120, 116, 112))


def _vivid(draw: np.random.Generator) -> tuple[int, int, int]:
    """A saturated or a dark colour: both stand out against the pale hall."""
    low, middle, high = draw.integers(15, 60), draw.integers(30, 150), draw.integers(90, 215)
    red, green, blue = draw.permutation([low, middle, high])
    return int(red), int(green), int(blue)
