"""The passes of `vaezip.training.functions` in plain torch: on any device, and the slowest."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def recurrence(u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.recurrence`."""
    f, c, o = u.float().chunk(3, -1)
    f, h, states = f.sigmoid(), h0, []
    for kept, new in zip(f, (1 - f) * c.tanh(), strict=True):
        h = torch.addcmul(new, kept, h)
        states.append(h)
    return o.sigmoid() * torch.stack(states), h


def add_and_modulate(x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.add_and_modulate`."""
    x = x + change
    return x, torch.addcmul(shift, nn.functional.rms_norm(x, x.shape[-1:]), scale)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """See `functions.cross_entropy`."""
    nats = nn.functional.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
    return nats.view_as(target)
