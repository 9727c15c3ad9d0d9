"""A conftest.py: of each test the first case, of each property a few examples.

Properties that name a number of examples themselves keep it.
"""

import pytest
from hypothesis import settings

EXAMPLES = 5


def pytest_configure() -> None:
    """Try properties on few examples, or as many as they name, the same each time."""
    settings.register_profile(
        "first", derandomize=True, deadline=None, database=None, max_examples=EXAMPLES
    )
    settings.load_profile("first")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the first of the cases of each test that `-m` and the like have left."""
    first: dict[str, pytest.Item] = {}
    for item in items:
        first.setdefault(item.nodeid.partition("[")[0], item)
    kept = list(first.values())
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
