"""The functions between the matrix products of training, differentiable, by the best passes for a device.

Each of these is one pass over memory in the kernel (on a CPU) and in Triton (on a GPU), and five to ten in
torch. Under autocast the products' inputs and outputs are bfloat16; the residual stream and all states stay
float32.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vaezip.training import functions_torch


class Passes(Protocol):
    """A module that has these functions."""

    def recurrence(self, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        """See below."""

    def add_and_modulate(
        self, x: Tensor, change: Tensor, scale: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See below."""

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """See below."""


@cache
def passes(device: str) -> Passes:
    """The fastest passes for tensors on devices of that type."""
    try:
        if device == "cpu":
            from vaezip.training import functions_kernel

            return functions_kernel
        if device == "cuda":
            from vaezip.training import functions_triton

            _try_out(functions_triton, device)
            return functions_triton
    except ImportError:  # the kernel was not built, or torch comes without Triton
        pass
    except Exception as error:  # Triton found no C compiler, say
        reason = str(error).partition("\n")[0]
        warnings.warn(f"training is slower, as Triton does not work here: {reason}", stacklevel=1)
    return functions_torch


def _try_out(passes: Passes, device: str) -> None:
    """Launch a pass on next to nothing; raises whatever prevents that."""
    passes.recurrence(torch.zeros(1, 1, 3, device=device), torch.zeros(1, 1, device=device))


def recurrence(u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """h_t = f_t h_(t-1) + (1 - f_t) c_t, out_t = o_t h_t, with f, c, o = gates of u.

    u: (T, B, 3H) pre-activations of f, c, o; h0: (B, H). Returns out (T, B, H) and the last h (B, H).
    """
    return passes(u.device.type).recurrence(u, h0)


def add_and_modulate(x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """x + change, and that as the next product's input: normalised (RMSNorm), scaled and shifted.

    x and change: (T, B, H); scale and shift, which z sets: (B, H).
    """
    return passes(x.device.type).add_and_modulate(x, change, scale, shift)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log p(target) in nats per byte: (T, B, 256), (T, B) -> (T, B)."""
    return passes(logits.device.type).cross_entropy(logits, target)


def cross_entropy_of(logits: Tensor, p: Tensor) -> Tensor:
    """-sum of p log softmax(logits) in nats: (T, B, 256), (T, B, 256) -> (T, B)."""
    nats = nn.functional.cross_entropy(logits.flatten(0, 1).float(), p.flatten(0, 1), reduction="none")
    return nats.view(p.shape[:2])


def lookup(tables: Tensor, rows: Tensor) -> Tensor:
    """Rows of the context tables: (n, dim), int64 (...) -> (..., dim).

    On a CPU the gradient of the tables is sparse, for `RowAdam` to touch no more than was looked up; a GPU
    is faster at summing it into all of them, and reads the rows in bfloat16 where products are.
    """
    if tables.device.type == "cpu":
        return nn.functional.embedding(rows, tables, sparse=True)
    return dense_lookup(tables, rows)


def dense_lookup(tables: Tensor, rows: Tensor) -> Tensor:
    """`lookup` as on a GPU."""
    device = tables.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tables.dtype
    found: Tensor = _DenseLookup.apply(tables, rows, dtype)  # type: ignore[no-untyped-call]
    return found


class _DenseLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tables: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = tables.shape
        return tables[rows].to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        total = torch.zeros(ctx.shape, device=rows.device)
        return total.index_add_(0, rows.flatten(), grads[0].reshape(-1, ctx.shape[1]).float()), None, None
