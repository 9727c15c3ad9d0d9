"""The device that scores are computed on."""

import logging
import re

import torch

from ttdata.errors import InputError

logger = logging.getLogger(__name__)


def choose_device(asked: str, configured: str) -> torch.device:
    """The device for scoring a run.

    Args:
        asked: "auto", "cpu", "cuda" or "cuda:N", the N-th GPU from 0 on. auto: what the run was
            configured for.
        configured: "auto", "cpu" or "cuda", the `execution.device` of the run. auto: a GPU where
            there is one. A run that was configured for a GPU is scored on the CPU where there is
            none, which is logged.

    Raises:
        InputError: for another word, or a GPU that is not here.
    """
    check_device(asked)
    if asked != "auto":
        return _asked_for(asked)
    if configured == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if configured == "cuda":
        logger.warning("the run was configured for a GPU; torch finds none here: CPU")
    return torch.device("cpu")


def check_device(asked: str) -> None:
    """Refuse a word that names no device; whether the device is here is not looked at.

    Raises:
        InputError: in that case.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", asked):
        raise InputError(f"--device {asked}: expected auto, cpu, cuda or cuda:N")


def _asked_for(asked: str) -> torch.device:
    device = torch.device(asked)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} GPU{'s' if count > 1 else ''}" if count else "no GPU"
        raise InputError(f"--device {asked}: torch finds {found} here; take cpu or auto")
    return device
