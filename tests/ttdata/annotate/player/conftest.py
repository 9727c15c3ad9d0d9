"""A browser, and proxies of four kinds of sources behind a server."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ttdata.annotate.proxies.make import Proxy, make_proxy

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from numbered import four_sources
from served import Served, serving

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


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
