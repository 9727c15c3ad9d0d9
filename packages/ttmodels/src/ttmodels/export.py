"""Networks for other runtimes: `torch.export` programs and ONNX files, any batch size."""

import os
import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ttmodels.stored_network import StoredNetwork

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def export_program(model: StoredNetwork) -> "ExportedProgram":
    """Return the network as a `torch.export` program: inference only, any batch size.

    A `DetectionHead` takes any number of cells, too.

    Args:
        model: any network of this package; it is exported as in `eval()` and stays as it is.

    Returns:
        The program; `torch.export.save` writes it, `program.module()(*clips)` runs it. Clips have
        the model's `config.clip_shape`.
    """
    training = model.training
    length = torch.export.Dim.DYNAMIC
    try:
        model.eval()
        with torch.no_grad():
            return torch.export.export(
                model,
                model.example_inputs(),
                dynamic_shapes=tuple(dict.fromkeys(model.open_axes, length) for _ in model.inputs),
            )
    finally:
        model.train(training)


def export_onnx(model: StoredNetwork, path: str | PathLike[str]) -> Path:
    """Write the network as an ONNX file: inference only, any batch size.

    Inputs and outputs are named as in `model.inputs` and `model.outputs`: the output of a network
    from clips is "logits". Needs the extra `ttmodels[onnx]`.

    Args:
        model: any network of this package.
        path: of the file, `model.onnx` say; written atomically. ONNX allows 2 GB.

    Returns:
        The path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own insides
            torch.onnx.export(
                export_program(model),
                f=temporary,
                input_names=list(model.inputs),
                output_names=list(model.outputs),
                external_data=False,
                verbose=False,
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
