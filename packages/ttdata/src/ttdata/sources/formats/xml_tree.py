"""XML as a tree that knows its lines: entities are refused, never expanded."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ttdata.errors import AnnotationError, InputError

_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD_BYTES = 1 << 16
"""The root element begins within these, else the file is none of ours."""


@dataclass
class Element:
    """An element, the line it begins on and the file it is in."""

    tag: str
    attributes: dict[str, str]
    file: Path
    line: int
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text between the tags, without that of the children."""
        return "".join(self.pieces)

    def find_all(self, tag: str) -> list["Element"]:
        """The children of this name, in order."""
        return [child for child in self.children if child.tag == tag]

    def descend(self, *tags: str) -> "Element | None":
        """The first descendant along these names."""
        here = self
        for tag in tags:
            found = here.find_all(tag)
            if not found:
                return None
            here = found[0]
        return here

    def get(self, name: str) -> str:
        """An attribute that has to be there.

        Raises:
            AnnotationError: if it is not.
        """
        if name not in self.attributes:
            raise self.error(f"has no attribute {name}")
        return self.attributes[name]

    def integer(self, name: str) -> int:
        """An attribute that has to be a whole number.

        Raises:
            AnnotationError: if it is missing or none.
        """
        value = self.get(name)
        if not _INTEGER.fullmatch(value.strip()):
            raise self.error(f"has {name}={value[:40]!r}, expected a whole number")
        return int(value)

    def error(self, problem: str) -> AnnotationError:
        """An error that names file, line and element."""
        return AnnotationError(f"{self.file}: line {self.line}: <{self.tag[:40]}> {problem}")


class _Refused(ValueError):
    """An XML feature that is refused, as no annotation file needs it."""


class _RootSeen(Exception):
    """The first element was met; its name is the argument."""


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        AnnotationError: if the file cannot be read, is no well-formed XML, or declares entities.
    """
    parser = _parser()
    top = Element("", {}, path, 0)
    stack = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, path, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        stack.pop()

    def text(piece: str) -> None:
        stack[-1].pieces.append(piece)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code) or "not well-formed"
        raise AnnotationError(
            f"{path}: cannot be read as XML (line {error.lineno}: {reason})"
        ) from error
    except (OSError, ValueError, LookupError) as error:
        where = f"line {parser.CurrentLineNumber}: " if isinstance(error, _Refused) else ""
        raise AnnotationError(f"{path}: cannot be read as XML ({where}{error})") from error
    return top.children[0]


def root_tag(path: Path) -> str | None:
    """The name of the first element; None where there is none we would read."""
    parser = _parser()

    def start(tag: str, _attributes: dict[str, str]) -> None:
        raise _RootSeen(tag)

    parser.StartElementHandler = start
    try:
        with path.open("rb") as handle:
            parser.Parse(handle.read(_HEAD_BYTES), False)
    except _RootSeen as seen:
        return str(seen.args[0])
    except (OSError, ValueError, LookupError, expat.ExpatError):
        return None
    return None


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def entity(name: str, *_rest: object) -> None:
        raise _Refused(f"it declares the entity {name[:40]!r}; entities are refused")

    def skipped(name: str, _is_parameter: bool) -> None:
        raise _Refused(f"it uses the entity {name[:40]!r}; entities are refused")

    def external(*_rest: object) -> int:
        raise _Refused("it refers to another file; entities are refused")

    parser.EntityDeclHandler = entity
    parser.SkippedEntityHandler = skipped
    parser.ExternalEntityRefHandler = external
    return parser


def attributes_xml(**attributes: str) -> str:
    """Attributes as they stand in a tag, each after a space.

    Raises:
        InputError: if a value holds a character that XML cannot.
    """
    return "".join(f" {name}={quoteattr(_legal(text))}" for name, text in attributes.items())


def text_xml(text: str) -> str:
    """Text as it stands between tags.

    Raises:
        InputError: if it holds a character that XML cannot.
    """
    return escape(_legal(text), {"\r": "&#13;"})


def _legal(text: str) -> str:
    found = _NOT_XML.search(text)
    if found:
        raise InputError(f"{text[:40]!r} holds {found.group()!r}, which XML cannot")
    return text
