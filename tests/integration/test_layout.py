"""Each package is a few rooms of few modules, and its README names them all, a phrase each."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ttdata", "ttflow", "ttmodels", "tttrain")
MOST_IN_A_ROOT = {"ttmodels": 29}
"""ttmodels is flat: a file per network."""
LINE = re.compile(r"^ {2,}([a-z]\w*(?:\.py|/)) +(\S.*)$", re.MULTILINE)
"""A line of a README's tree: a module or a room, then its phrase."""

Module = tuple[str, ...]
"""Its rooms and its file name: `("shards", "reader.py")`."""


def modules_of(package: str) -> list[Module]:
    source = ROOT / "packages" / package / "src" / package
    if not source.is_dir():
        pytest.skip("the packages are not beside these tests")
    return sorted(path.relative_to(source).parts for path in source.rglob("[a-z]*.py"))


def tree_of(package: str) -> str:
    """The block of the README that lists the modules."""
    text = (ROOT / "packages" / package / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"^## What is where\n.*?^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert tree, "expected a block of modules under `## What is where`"
    return tree[1]


def listed(tree: str) -> list[Module]:
    """The modules of a tree, with their rooms by indentation."""
    found, rooms = [], []
    for match in LINE.finditer(tree):
        indent = len(match[0]) - len(match[0].lstrip())
        while rooms and rooms[-1][0] >= indent:
            rooms.pop()
        if match[1].endswith("/"):
            rooms.append((indent, match[1].rstrip("/")))
        else:
            found.append((*(room for _, room in rooms), match[1]))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_small_rooms(package: str) -> None:
    rooms: dict[Module, list[str]] = {}
    for module in modules_of(package):
        rooms.setdefault(module[:-1], []).append(module[-1])
    most = {room: 15 if room else MOST_IN_A_ROOT.get(package, 10) for room in rooms}
    assert {room: files for room, files in rooms.items() if len(files) > most[room]} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_names_every_module_once(package: str) -> None:
    assert sorted(listed(tree_of(package))) == modules_of(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_phrase_names_one_thing(package: str) -> None:
    phrases = {match[1]: match[2] for match in LINE.finditer(tree_of(package))}
    assert {name: text for name, text in phrases.items() if re.search(r"\band\b", text)} == {}
