"""Proxies of four kinds of sources behind a server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttdata.annotate.proxies.make import Proxy, make_proxy

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from numbered import four_sources
from served import Served, serving


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return four_sources(tmp_path_factory.mktemp("sources"), 240, (90, 160))


@pytest.fixture(scope="session")
def proxies(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proxy]:
    folder = tmp_path_factory.mktemp("proxies")
    return {name: make_proxy(source, folder) for name, source in sources.items()}


@pytest.fixture
def served(proxies: dict[str, Proxy]) -> Iterator[Served]:
    with serving(Served(proxies["constant"])) as found:
        yield found
