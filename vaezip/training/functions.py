"""What training does between its matrix products, differentiable: by the kernel if built, else by torch.

Each of these is one pass over memory in the kernel, and five to ten in torch. Under autocast the products'
inputs and outputs are bfloat16; the residual stream and all states stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

try:
    from vaezip.kernel import ffi as _ffi
    from vaezip.kernel import lib as _lib
except ImportError:
    _lib = None


def recurrence(u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """h_t = f_t h_(t-1) + (1 - f_t) c_t, out_t = o_t h_t, with f, c, o = gates of u.

    u: (T, B, 3H) pre-activations of f, c, o; h0: (B, H). Returns out (T, B, H) and the last h (B, H).
    """
    if _lib is None:
        f, c, o = u.float().chunk(3, -1)
        f, h, states = f.sigmoid(), h0, []
        for kept, new in zip(f, (1 - f) * c.tanh(), strict=True):
            h = torch.addcmul(new, kept, h)
            states.append(h)
        return o.sigmoid() * torch.stack(states), h
    out, h = _apply(_KernelRecurrence, u.contiguous(), h0.contiguous())
    return out, h


def changed(x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """x + change, and that as the next product's input: RMSNorm, then what z sets.

    x and change: (T, B, H); scale and shift: (B, H).
    """
    if _lib is None:
        x = x + change
        return x, torch.addcmul(shift, nn.functional.rms_norm(x, x.shape[-1:]), scale)
    total, y = _apply(_KernelStyle, x, change.contiguous(), scale.contiguous(), shift.contiguous())
    return total, y


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log p(target) in nats per byte: (T, B, 256), (T, B) -> (T, B)."""
    if _lib is None:
        nats = nn.functional.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
        return nats.view_as(target)
    (nats,) = _apply(_KernelLoss, logits.contiguous(), target.contiguous())
    return nats


def _apply(function: type[torch.autograd.Function], *inputs: Tensor) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = function.apply(*inputs)  # type: ignore[no-untyped-call]
    return outputs


def _shape(x: Tensor, width: int) -> Any:
    """The kernel's description of (T, B, any) arrays of that width, of x's type; ValueError if too wide."""
    if width > _lib.VZ_MAX_WIDTH:  # it has rows of that size on its stack
        raise ValueError(f"the kernel trains networks of width {_lib.VZ_MAX_WIDTH} at most")
    return _ffi.new("vz_shape *", (x.shape[0], x.shape[1], width, x.dtype == torch.bfloat16))


def _pointer(x: Tensor) -> Any:
    kind = {torch.float32: "float *", torch.int64: "int64_t *"}.get(x.dtype, "void *")
    return _ffi.cast(kind, x.data_ptr())


class _KernelRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        width = h0.shape[1]
        states = torch.empty((*u.shape[:2], width))
        out = torch.empty_like(states, dtype=u.dtype)
        _lib.vz_recurrence_forward(_shape(u, width), *map(_pointer, (u, h0, states, out)))
        ctx.save_for_backward(u, h0, states)
        return out, states[-1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        u, h0, states = ctx.saved_tensors
        out_gradient, carry = grads[0].contiguous(), grads[1].clone(memory_format=torch.contiguous_format)
        gradient = torch.empty_like(u)
        pointers = map(_pointer, (u, h0, states, out_gradient, carry, gradient))
        _lib.vz_recurrence_backward(_shape(u, h0.shape[1]), *pointers)
        return gradient, carry


class _KernelStyle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        total, y = torch.empty_like(x), torch.empty_like(change)
        pointers = map(_pointer, (x, change, scale, shift, total, y))
        _lib.vz_style_forward(_shape(y, x.shape[2]), *pointers)
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
        _lib.vz_style_backward(_shape(y_gradient, total.shape[2]), *pointers)
        return results


class _KernelLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor]:
        nats, total = torch.empty(target.shape), torch.empty(target.shape)
        _lib.vz_loss_forward(_shape(logits, 256), *map(_pointer, (logits, target, nats, total)))
        ctx.save_for_backward(logits, target, total)
        return (nats,)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, target, total = ctx.saved_tensors
        nats_gradient, gradient = grads[0].contiguous(), torch.empty_like(logits)
        pointers = map(_pointer, (logits, target, total, nats_gradient, gradient))
        _lib.vz_loss_backward(_shape(logits, 256), *pointers)
        return gradient, None
