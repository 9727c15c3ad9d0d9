"""The order of all tests: files with slow ones first, so that no core waits for them at the end.

Of these the ones on a cluster are first: they share it while they follow each other.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that start clusters or take long first; within a file the order stays."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    on_ray = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: (item.path not in slow, item.path not in on_ray))
