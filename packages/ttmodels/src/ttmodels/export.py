"""Networks for other runtimes: `torch.export` programs and ONNX files, any batch size."""

import os
import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ttmodels.base import StrokeModel
from ttmodels.inputs import INPUTS

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def export_program(model: StrokeModel) -> "ExportedProgram":
    """Return the network as a `torch.export` program: inference only, any batch size.

    Args:
        model: any network of this package; it is exported as in `eval()` and stays as it is.

    Returns:
        The program; `torch.export.save` writes it, `program.module()(*clips)` runs it. Clips have
        the model's `config.clip_shape`.
    """
    training = model.training
    batch = torch.export.Dim.DYNAMIC
    try:
        model.eval()
        with torch.no_grad():
            return torch.export.export(
                model,
                tuple(_example(model)),
                dynamic_shapes=tuple({0: batch} for _ in model.inputs),
            )
    finally:
        model.train(training)


def export_onnx(model: StrokeModel, path: str | PathLike[str]) -> Path:
    """Write the network as an ONNX file: inference only, any batch size.

    Inputs are named as in `model.inputs`, the output is "logits". Needs the extra
    `ttmodels[onnx]`.

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
                output_names=["logits"],
                external_data=False,
                verbose=False,
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _example(model: StrokeModel) -> list[Tensor]:
    """A batch of two: one would be taken for a constant."""
    weight = next(model.parameters())
    return [
        torch.zeros(
            2,
            INPUTS[name].channels,
            *model.config.clip_shape,
            dtype=weight.dtype,
            device=weight.device,
        )
        for name in model.inputs
    ]
