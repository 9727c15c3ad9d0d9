"""A conftest.py: of each test the first case, of each property a few examples."""

import pytest
from hypothesis import settings

EXAMPLES = 5


def pytest_configure() -> None:
    """Try properties on few examples, the same each time."""
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
    for item in kept:
        limit_examples(getattr(item, "function", None))


def limit_examples(test: object) -> None:
    """Few examples also where a property names a number; hypothesis has no public way to."""
    named = getattr(test, "_hypothesis_internal_use_settings", None)
    if named is not None:
        few = settings(named, max_examples=min(named.max_examples, EXAMPLES))
        vars(test)["_hypothesis_internal_use_settings"] = few
