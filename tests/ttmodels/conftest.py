import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from jaxtyping import install_import_hook


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> Iterator[None]:
    """Same numbers in any order of tests; torch's global state is given back."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def checked() -> ModuleType:
    """A second copy of ttmodels whose shape annotations are checked at run time."""

    def take() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[0] == "ttmodels"]
        return {name: sys.modules.pop(name) for name in names}

    original = take()
    with install_import_hook("ttmodels", "beartype.beartype"):
        package = importlib.import_module("ttmodels")
        for name in package.__all__:  # they load on first use, which must be here
            getattr(package, name)
    take()
    sys.modules.update(original)
    return package
