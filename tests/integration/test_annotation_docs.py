"""The page for teachers: the keys to print are those of the pages."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "annotation_sessions.md"
STATIC = Path(str(files("ttdata.annotate") / "static"))
BINDING = re.compile(
    r'\{ group: "(?P<group>\w+)", action: "\w+", '
    r'keys: \[(?P<keys>[^\]]*)\], text: "(?P<text>[^"]*)" \}'
)
SHOWN = {" ": "Space", "ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓"}
"""As `shownKey` in keys.js."""


def shown(key: str) -> str:
    parts = re.split(r"(?<=.)\+", key)
    return " ".join(SHOWN.get(p, p.upper() if len(p) == 1 else p) for p in parts)


def keys_table(script: str) -> str:
    """The keys of a page as a table, from the list that the page itself uses."""
    text = (STATIC / script).read_text(encoding="utf-8")
    found = list(BINDING.finditer(text))
    assert len(found) == text.count('{ group: "') > 20
    lines, group = ["| | key | what it does |", "|---|---|---|"], ""
    for each in found:
        keys = [shown(key) for key in re.findall(r'"([^"]*)"', each["keys"])]
        name = each["group"] if each["group"] != group else ""
        lines.append(f"| {name} | {' or '.join(f'`{key}`' for key in keys)} | {each['text']} |")
        group = each["group"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("script", ["keys.js", "reviewkeys.js"])
def test_the_printed_keys_are_the_pages_keys(script: str) -> None:
    assert keys_table(script) in PAGE.read_text(encoding="utf-8")
