"""Keys of schema version 1, without sections: stored runs are lifted, other input is refused."""

import hashlib
import json
from typing import Any

FLAT_KEYS = {
    "model": "network.model",
    "fusion": "network.fusion",
    "first_pool": "network.first_pool",
    "dropout": "network.dropout",
    "clip_shape": "network.clip_shape",
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    "learning_rate_batch": "optimizer.reference_batch_size",
    "momentum": "optimizer.momentum",
    "momentum_milestones": "optimizer.momentum_milestones",
    "weight_decay": "optimizer.weight_decay",
    "gradient_clip": "optimizer.gradient_clip",
    "epochs": "schedule.epochs",
    "warmup_epochs": "schedule.warmup_epochs",
    "learning_rate_decay": "schedule.decay",
    "plateau_epochs": "schedule.plateau_epochs",
    "plateau_factor": "schedule.plateau_factor",
    "schedule_epochs": "schedule.reference_epochs",
    "patience_epochs": "schedule.patience_epochs",
    "num_workers": "execution.num_workers",
    "min_workers": "execution.min_workers",
    "device": "execution.device",
    "torch_threads": "execution.torch_threads",
    "data_path": "execution.data_path",
    "resident_max_gib": "execution.resident_max_gib",
    "checkpoint_minutes": "execution.checkpoint_minutes",
}
"""The place of each key that moved; recipe, batch_size, precision, seed, augment did not."""

ADDED_KEYS: dict[tuple[str, str], object] = {
    ("network", "head"): "flat",
    ("network", "pool_fields"): 3,
    ("augment", "window_draw"): "normal",
    ("augment", "straddling_share"): 0.0,
    ("augment", "rest_share"): 0.0,
    ("network", "head_labels"): "classes",
    ("optimizer", "label_smoothing"): 0.0,
    ("network", "landmarks"): "picture",
    ("execution", "gpu_kernels"): None,
    ("execution", "step_graph"): False,
}
"""Keys that came later, with the value that stands for what was done before them; those of
`execution`, which do not decide a result, with their default."""
_MISSING = object()


def flat_keys_in(values: dict[str, Any]) -> list[str]:
    """The keys of a configuration that are flat ones, in its order."""
    return [
        key
        for key, value in values.items()
        # `optimizer` is the name of a section too, which is no plain text.
        if key in FLAT_KEYS and (key != "optimizer" or isinstance(value, str))
    ]


def into_sections(flat: dict[str, Any]) -> dict[str, Any]:
    """The values of a flat configuration, each in its section.

    >>> into_sections({"seed": 1, "optimizer": "sgd", "learning_rate": 0.1})
    {'seed': 1, 'optimizer': {'name': 'sgd', 'learning_rate': 0.1}}
    """
    found: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, name = FLAT_KEYS.get(key, key).partition(".")
        if name:
            found.setdefault(section, {})[name] = value
        else:
            found[section] = value
    return found


def flat_hash(result_values: dict[str, Any]) -> str:
    """The hash by which schema version 1 knew these values; its checkpoints carry it.

    Args:
        result_values: of a `TrainConfig`, in sections, without `execution`.
    """
    sections = {path.partition(".")[0] for path in FLAT_KEYS.values()}
    result_values = without_additions(result_values)
    flat = {key: value for key, value in result_values.items() if key not in sections}
    for key, path in FLAT_KEYS.items():
        section, _, name = path.partition(".")
        if section in result_values:
            flat[key] = result_values[section][name]
    return short_hash(flat)


def without_additions(values: dict[str, Any]) -> dict[str, Any]:
    """The values without later keys that say what was always done: their hash stays the same.

    >>> without_additions({"seed": 1, "augment": {"mirror": True, "window_draw": "normal"}})
    {'seed': 1, 'augment': {'mirror': True}}
    """
    found = dict(values)
    for (section, name), before in ADDED_KEYS.items():
        if found.get(section, {}).get(name, _MISSING) == before:
            found[section] = {key: item for key, item in found[section].items() if key != name}
    return found


def short_hash(values: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that change when a value changes."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
