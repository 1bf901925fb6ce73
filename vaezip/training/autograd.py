"""What the passes and the backends of training share of torch's automatic differentiation."""

from __future__ import annotations

import torch
from torch import Tensor

from vaezip.training.settings import Settings


def apply(function: type[torch.autograd.Function], *inputs: Tensor) -> tuple[Tensor, ...]:
    """The outputs of a function that torch differentiates by its own backward pass."""
    outputs: tuple[Tensor, ...] = function.apply(*inputs)  # type: ignore[no-untyped-call]
    return outputs


def autocast(device: torch.device, settings: Settings) -> torch.autocast:
    """The context in which a network on that device is run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bool(settings.bfloat16))
