"""Adam (Kingma & Ba 2015), for the dense weights and for the context tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def flattened(tensors: Iterable[Tensor]) -> Tensor:
    """Their numbers one after another, (n,), so that a GPU is told once what to do with all."""
    return torch.cat([x.detach().flatten() for x in tensors])


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).

    PyTorch's own imports a compiler first, which takes seconds.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        decay: float = 0.01,
    ) -> None:
        self._parameters = list(parameters)
        self._lr, self._betas, self._decay = lr, betas, decay
        self._mean = torch.zeros_like(flattened(parameters))
        self._square = torch.zeros_like(self._mean)
        self._steps = 0

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """Apply the parameters' `flattened` gradients at `rate` times the learning rate."""
        self._steps += 1
        b1, b2 = self._betas
        lr = rate * self._lr
        step, root = -lr / (1 - b1**self._steps), (1 - b2**self._steps) ** 0.5
        self._mean.lerp_(gradient, 1 - b1)
        self._square.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        change = self._square.sqrt().div_(root).add_(1e-8).reciprocal_().mul_(self._mean)
        parts = torch.split(change, [p.numel() for p in self._parameters])
        torch._foreach_mul_(self._parameters, 1 - lr * self._decay)
        changes = [part.view_as(p) for p, part in zip(self._parameters, parts, strict=True)]
        torch._foreach_add_(self._parameters, changes, alpha=step)

    def state_dict(self) -> dict[str, Any]:
        """Moments and step count, for a checkpoint."""
        return {"mean": self._mean, "square": self._square, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])
        self._steps = state["steps"]


class RowAdam:
    """Adam of rows that have a gradient; the moments of other rows stay as they are."""

    def __init__(self, tables: Tensor, lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self._tables = tables
        self._lr = lr
        self._betas = betas
        self._mean = torch.zeros_like(tables, requires_grad=False)
        self._square = torch.zeros_like(tables, requires_grad=False)
        self._steps = 0

    def step(
        self,
        gradient: Tensor,
        rate: float,
        columns: int,
        map_: Callable[[Callable[[int], None], Iterable[int]], Iterable[None]] = map,
    ) -> None:
        """Apply the tables' gradient at `rate` times the learning rate.

        A sparse one, not coalesced, is of rows looked up in so many `columns`, each of which has a table of
        its own: so `map_` may deal with these side by side.
        """
        self._steps += 1
        b1, b2 = self._betas
        lr = rate * self._lr * (1 - b2**self._steps) ** 0.5 / (1 - b1**self._steps)
        if not gradient.is_sparse:
            self._update_all(gradient, lr)
            return
        rows = gradient._indices()[0].view(-1, columns)
        values = gradient._values().view(len(rows), columns, -1)
        for _ in map_(lambda c: self._update(rows[:, c], values[:, c], lr), range(columns)):
            pass

    @torch.no_grad()
    def _update(self, rows: Tensor, gradients: Tensor, lr: float) -> None:
        b1, b2 = self._betas
        rows, inverse = torch.unique(rows, return_inverse=True)
        total = torch.zeros((len(rows), gradients.shape[1]), device=rows.device)
        total.scatter_add_(0, inverse[:, None].expand_as(gradients), gradients)
        mean = self._mean[rows].lerp_(total, 1 - b1)
        square = self._square[rows].mul_(b2).addcmul_(total, total, value=1 - b2)
        self._mean.index_copy_(0, rows, mean)
        self._square.index_copy_(0, rows, square)
        self._tables.index_add_(0, rows, mean.div_(square.sqrt_().add_(1e-8)).mul_(-lr))

    @torch.no_grad()
    def _update_all(self, gradient: Tensor, lr: float) -> None:
        """Without a list of rows, which a GPU would have to be waited for."""
        b1, b2 = self._betas
        touched = (gradient != 0).any(1, keepdim=True)
        self._mean.lerp_(gradient, touched * (1 - b1))
        self._square.lerp_(gradient.square(), touched * (1 - b2))
        self._tables.addcdiv_(self._mean * touched, self._square.sqrt().add_(1e-8), value=-lr)

    def state_dict(self) -> dict[str, Any]:
        """Moments and step count, for a checkpoint."""
        return {"mean": self._mean, "square": self._square, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])
        self._steps = state["steps"]
