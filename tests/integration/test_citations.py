"""What code and pages cite exists: sections of the specification, files, headings."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("packages", "benchmarks", "tests", "tools", "examples")
PAGES = (
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(ROOT.glob("benchmarks/results/*.md")),
)

_NUMBER = r"\d(?:\.\d+)?"
_CITATION = re.compile(rf"\bspecification\s+({_NUMBER}(?:(?:,\s*|\s+and\s+){_NUMBER})*)", re.I)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE_BLOCK = re.compile(r"^```.*?^```[ \t]*$", re.M | re.S)
_OUTSIDE = re.compile(
    r"\b(?:SPEC|DESIGN)\b|\b(?:FLOW|GPU|INDEXING|ANNOTATE|EXAMPLES|POSE_AND_QUALITY)\.md\b"
    r"|\.\./shared\b|\bpaper\.txt\b"
)
"""Documents that are not part of the project: who has the project cannot look them up."""


def sections(page: str) -> set[str]:
    """The numbers of a page's headings: `### 2.3 Centre` gives "2.3"."""
    return set(re.findall(rf"^#{{2,3}} ({_NUMBER}) ", page, re.M))


def citations(text: str) -> list[str]:
    """The sections of the specification that a text cites, lists taken apart."""
    if "pecification" not in text:
        return []
    joined = re.sub(r"\n[ \t]*(?:#|//|\*)?[ \t]*", " ", text)
    return [number for found in _CITATION.findall(joined) for number in re.findall(_NUMBER, found)]


def wrong_citations(text: str, known: set[str]) -> list[str]:
    """What a text cites that is no section, or no document of the project."""
    unknown = [f"specification {number}" for number in citations(text) if number not in known]
    return unknown + [found.group() for found in _OUTSIDE.finditer(text)]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; repeated ones get -1, -2, ..."""
    found: set[str] = set()
    for heading in _HEADING.findall(_CODE_BLOCK.sub("", page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = sum(
            re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in found
        )
        found.add(f"{anchor}-{repeated}" if repeated else anchor)
    return found


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file or to no heading."""
    broken = []
    for link in _LINK.findall(_CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        found = target.exists() and (
            not anchor or anchor in anchors(target.read_text(encoding="utf-8"))
        )
        if not found:
            broken.append(link)
    return broken


def texts() -> Iterator[tuple[Path, str]]:
    """All files that may cite, but this one, which holds wrong citations on purpose."""
    files: Iterable[Path] = (path for name in FOLDERS for path in (ROOT / name).rglob("*"))
    for path in [*files, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]:
        hidden = any(
            part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info")
            for part in path.relative_to(ROOT).parts
        )
        if hidden or path == Path(__file__) or not path.is_file():
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_every_citation_is_a_section_or_a_document_of_the_project() -> None:
    known = sections((ROOT / "docs" / "specification.md").read_text(encoding="utf-8"))
    wrong, cited = {}, 0
    for path, text in texts():
        cited += len(citations(text))
        if found := wrong_citations(text, known):
            wrong[str(path.relative_to(ROOT))] = found
    assert cited > 50
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_pages_lead_somewhere(page: Path) -> None:
    assert not broken_links(page)


KNOWN = {"2", "2.3", "2.4", "3.1"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("as specification 2.3 and 2.4 say", []),
        ("(specification 2.4, 3.1)", []),
        ("specification 2.9", ["specification 2.9"]),
        ("specification 2.4, 3.7", ["specification 3.7"]),
        ("Specification 2.3 and 7", ["specification 7"]),
        ("wrapped in a comment: specification\n    # 9.1", ["specification 9.1"]),
        ("the specification says nothing", []),
        ("see SPEC section 2", ["SPEC"]),
        ("as DESIGN says", ["DESIGN"]),
        ("see FLOW.md", ["FLOW.md"]),
        ("read ../shared/paper.txt", ["../shared", "paper.txt"]),
        ("PluginSpec, DESIGNED, SPEC_VERSION", []),
    ],
)
def test_a_wrong_citation_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_citations(text, KNOWN) == wrong


def test_sections_are_headings_with_a_number() -> None:
    assert sections("# 9 Title\n\n## 2 Flow\n\n### 2.3 Centre\n\n2.4 no heading\n") == {"2", "2.3"}


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# Title\n\n## 2.1 A *fine* one\n\n## Same\n\n## Same\n")
    page.write_text(
        "[a](other.md) [b](other.md#21-a-fine-one) [c](other.md#same-1) [d](https://example.org/x)\n"
        "[e](missing.md) [f](other.md#22-no) [g](#nowhere)\n\n```\n[h](in_a_block.md)\n```\n"
    )
    assert broken_links(page) == ["missing.md", "other.md#22-no", "#nowhere"]
