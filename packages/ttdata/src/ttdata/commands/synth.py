"""The `ttdata synth` command: a synthetic source from options."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ttdata.commands.options import parse_size
from ttdata.errors import InputError
from ttdata.settings import load_config, override
from ttdata.storage.outputs import check_output_folder
from ttdata.synth.config import SynthConfig
from ttdata.synth.write import SOURCE_FILES, write_source


def run_synth(
    out: Path,
    config_path: Path | None = None,
    options: Mapping[str, object] | None = None,
    overrides: Iterable[str] = (),
) -> SynthConfig:
    """Make a configuration from the options and write its source.

    Args:
        out: the folder to write.
        config_path: a JSON file with a SynthConfig; None: the defaults.
        options: fields of SynthConfig by name; None values are left out. `size` may be a text
            `WxH`, `strokes` labels separated by commas, and `rest_share` is that of matches.
        overrides: `key=value` texts, applied last.

    Returns:
        The configuration used.

    Raises:
        InputError: if a value does not fit, or the folder holds another source.
    """
    pairs = [pair for name, value in (options or {}).items() for pair in _option(name, value)]
    config = override(load_config(SynthConfig, config_path, pairs), overrides)
    if options and options.get("rest_share") is not None and not config.matches:
        raise InputError("--rest-share: strokes in a row have no rest; add --matches")
    check_output_folder(out, "a synthetic source", (), settings=[config_path], writes=SOURCE_FILES)
    write_source(out, config)
    return config


def _option(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if name == "size":
        width, height = parse_size(str(value))
        return [f"width={width}", f"height={height}"]
    if name == "strokes" and isinstance(value, str):
        value = [label.strip() for label in value.split(",") if label.strip()]
    if name == "rest_share":
        name = "match.rest_share"
    return [f"{name}={json.dumps(value)}"]
