"""Pages from Jinja templates: every value is escaped, and a missing one is an error."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from ttdata.storage.atomic import write_text


def environment_of(folder: Path, filters: Mapping[str, Callable[..., str]]) -> jinja2.Environment:
    """Strict templates of a folder, escaped; lines of blocks alone leave no trace.

    Args:
        folder: of the Jinja files.
        filters: the templates' own, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment


def write_page(
    target: Path,
    template: Path,
    content: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]],
) -> None:
    """Write a template filled with the content, atomically.

    Args:
        target: the HTML file.
        template: the Jinja file.
        content: by the names that the template uses.
        filters: the template's own, by name.
    """
    environment = environment_of(template.parent, filters)
    write_text(target, environment.get_template(template.name).render(content))
