"""The passes of `vaezip.training.functions` by the C kernel, each over memory once: for tensors on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaezip.kernel import ffi, lib
from vaezip.training.autograd import apply


def recurrence(u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.recurrence`."""
    out, h = apply(_Recurrence, u.contiguous(), h0.contiguous())
    return out, h


def add_and_modulate(x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.add_and_modulate`."""
    total, y = apply(_AddAndModulate, x, change.contiguous(), scale.contiguous(), shift.contiguous())
    return total, y


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """See `functions.cross_entropy`."""
    (nats,) = apply(_Loss, logits.contiguous(), target.contiguous())
    return nats


def _shape(x: Tensor, width: int) -> Any:
    """The kernel's description of (T, B, any) arrays of that width, of x's type; ValueError if too wide."""
    if width > lib.VZ_MAX_WIDTH:  # it has rows of that size on its stack
        raise ValueError(f"the kernel trains networks of width {lib.VZ_MAX_WIDTH} at most")
    return ffi.new("vz_shape *", (x.shape[0], x.shape[1], width, x.dtype == torch.bfloat16))


def _pointer(x: Tensor) -> Any:
    kind = {torch.float32: "float *", torch.int64: "int64_t *"}.get(x.dtype, "void *")
    return ffi.cast(kind, x.data_ptr())


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        width = h0.shape[1]
        states = torch.empty((*u.shape[:2], width))
        out = torch.empty_like(states, dtype=u.dtype)
        lib.vz_recurrence_forward(_shape(u, width), *map(_pointer, (u, h0, states, out)))
        ctx.save_for_backward(u, h0, states)
        return out, states[-1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        u, h0, states = ctx.saved_tensors
        out_gradient, carry = grads[0].contiguous(), grads[1].clone(memory_format=torch.contiguous_format)
        gradient = torch.empty_like(u)
        pointers = map(_pointer, (u, h0, states, out_gradient, carry, gradient))
        lib.vz_recurrence_backward(_shape(u, h0.shape[1]), *pointers)
        return gradient, carry


class _AddAndModulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        total, y = torch.empty_like(x), torch.empty_like(change)
        pointers = map(_pointer, (x, change, scale, shift, total, y))
        lib.vz_add_and_modulate_forward(_shape(y, x.shape[2]), *pointers)
        ctx.save_for_backward(total, scale)
        return total, y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        total, scale = ctx.saved_tensors
        total_gradient, y_gradient = (g.contiguous() for g in grads)
        gradient, change_gradient = torch.empty_like(total), torch.empty_like(y_gradient)
        scale_gradient, shift_gradient = torch.zeros_like(scale), torch.zeros_like(scale)
        results = (gradient, change_gradient, scale_gradient, shift_gradient)
        pointers = map(_pointer, (total, scale, total_gradient, y_gradient, *results))
        lib.vz_add_and_modulate_backward(_shape(y_gradient, total.shape[2]), *pointers)
        return results


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor]:
        nats, total = torch.empty(target.shape), torch.empty(target.shape)
        lib.vz_loss_forward(_shape(logits, 256), *map(_pointer, (logits, target, nats, total)))
        ctx.save_for_backward(logits, target, total)
        return (nats,)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, target, total = ctx.saved_tensors
        nats_gradient, gradient = grads[0].contiguous(), torch.empty_like(logits)
        pointers = map(_pointer, (logits, target, total, nats_gradient, gradient))
        lib.vz_loss_backward(_shape(logits, 256), *pointers)
        return gradient, None
