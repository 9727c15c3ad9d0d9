import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

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


@pytest.fixture
def cubin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Compile a Triton kernel for a GPU, which need not be there.

    Pointers and constants go by names of the kernel's arguments; all others are int32.
    """
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton import compile as compiled
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    def made(kernel: Any, pointers: Mapping[str, str], constants: Mapping[str, int]) -> bytes:
        signature = {name: pointers.get(name, "i32") for name in kernel.arg_names}
        signature |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(kernel, signature=signature, constexprs=dict(constants))
        result: bytes = compiled(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
        return result

    return made
