"""The lines of `gpu.jsonl` and the pages made of them; needs the standard library only.

{"section", "what", "value", "unit", "limit", "passed"}   a check
{"section", "what", "value", "unit"}                      a measurement
{"section", "what", "note"}                               what was left out, and other words
{"section", "what", "error", "passed": false}             a case that ended in an error
{"section", "end", "seconds", "said"}                     how a section ended, by the parent
"""

import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGES = ("ttdata", "ttflow", "ttmodels", "tttrain")
FINISHED = "finished"
Line = dict[str, Any]


def append(path: Path, line: Line) -> None:
    """Add a line; it is in the file when this returns."""
    with path.open("a+b") as file:
        cut = file.tell() and (file.seek(-1, 2), file.read(1))[1] != b"\n"
        # A process that was killed may have left half a line: it must not take this one along.
        file.write((b"\n" if cut else b"") + json.dumps(line).encode() + b"\n")
        file.flush()


def read(path: Path) -> list[Line]:
    """The lines there are; one that was cut off is left out."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def exit_words(code: int) -> str:
    """How a process ended, from its exit code."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return FINISHED if code == 0 else f"exit code {code}"


def failed(lines: list[Line], sections: Iterable[str]) -> bool:
    """Whether a check failed or a section did not come to its end."""
    ended = {line["section"] for line in lines if line.get("end") == FINISHED}
    return not ended.issuperset(sections) or any(line.get("passed") is False for line in lines)


def ending(lines: list[Line], section: str) -> str:
    """A section in one line."""
    end = next(line for line in reversed(lines) if line["section"] == section and "end" in line)
    good, bad = _checks(lines, section)
    said = f" ({end['said']})" if end["said"] else ""
    return f"{section}: {end['end']}{said}, {end['seconds']} s, {good} passed, {len(bad)} failed"


def summary(lines: list[Line]) -> str:
    """The short table: a row for each section."""
    rows = ["| section | ended | s | passed | failed |", "|---|---|---|---|---|"]
    for end in (line for line in lines if "end" in line):
        good, bad = _checks(lines, end["section"])
        names = f"{len(bad)}: {'; '.join(bad)}" if bad else "0"
        rows.append(f"| {end['section']} | {end['end']} | {end['seconds']} | {good} | {names} |")
    return "\n".join(rows)


def page(lines: list[Line]) -> str:
    """The whole result."""
    parts = [f"# {_title(lines)}", summary(lines)]
    for section in dict.fromkeys(line["section"] for line in lines):
        mine = [line for line in lines if line["section"] == section]
        end = next((line for line in mine if "end" in line), {})
        head = f"## {section}: {end.get('end', 'running')}, {end.get('seconds', '?')} s"
        said = [f"Its last words: {end['said']}"] if end.get("said") else []
        rows = ["| what | value | limit | |", "|---|---|---|---|"]
        rows += [_row(line) for line in mine if "what" in line]
        parts += [head, *said, "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _checks(lines: list[Line], section: str) -> tuple[int, list[str]]:
    checks = [line for line in lines if line["section"] == section and "passed" in line]
    bad = [line["what"] for line in checks if not line["passed"]]
    return len(checks) - len(bad), bad


def _title(lines: list[Line]) -> str:
    notes = {line.get("what"): line.get("note") for line in lines if line["section"] == "env"}
    return f"{notes.get('device') or 'GPU checks'}, {notes.get('date') or 'no date'}"


def _row(line: Line) -> str:
    if "note" in line or "error" in line:
        verdict = "failed" if "error" in line else ""
        text = str(line.get("note") or line.get("error")).replace("|", "/")
        return f"| {line['what']} | {text} | | {verdict} |"
    value = f"{line['value']:.4g} {line.get('unit', '')}".strip()
    if "passed" not in line:
        return f"| {line['what']} | {value} | | |"
    verdict = "pass" if line["passed"] else "**failed**"
    return f"| {line['what']} | {value} | {line['limit']:g} | {verdict} |"
