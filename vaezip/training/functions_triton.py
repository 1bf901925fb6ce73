"""The passes of `vaezip.training.functions` in Triton: for tensors on a GPU, or by its interpreter on a CPU.

Tensors are (T, B, ...), contiguous; a program of the recurrence follows one lane and some channels through
time. Sums are float32, whatever the products' type. No annotations are postponed here: Triton reads them.
"""

# ruff: noqa: N803 - Triton's constants are in capitals

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from vaezip.training.autograd import apply

_CHANNELS = 128  # of the recurrence, per program
_STEPS = 32  # of time, per program that normalises
_ROWS = 16  # of logits, per program
_EPSILON = torch.finfo(torch.float32).eps  # as in torch's rms_norm


def recurrence(u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.recurrence`."""
    out, h = apply(_Recurrence, u.contiguous(), h0.float().contiguous())
    return out, h


def add_and_modulate(x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """See `functions.add_and_modulate`."""
    modulation = scale.float().contiguous(), shift.float().contiguous()
    total, y = apply(_AddAndModulate, x.float().contiguous(), change.contiguous(), *modulation)
    return total, y


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """See `functions.cross_entropy`."""
    (nats,) = apply(_Loss, logits.contiguous(), target.contiguous())
    return nats


@triton.jit(do_not_specialize=["steps", "lanes"])
def _recurrence_forward(u, h0, states, out, last, steps, lanes, width, BLOCK: tl.constexpr):
    lane = tl.program_id(0)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = k < width
    h = tl.load(h0 + lane * width + k, mask=real, other=0.0)
    for t in range(steps):
        row = (t * lanes + lane).to(tl.int64)
        f = tl.sigmoid(tl.load(u + row * 3 * width + k, mask=real, other=0.0).to(tl.float32))
        c = tl.load(u + row * 3 * width + width + k, mask=real, other=0.0).to(tl.float32)
        o = tl.sigmoid(tl.load(u + row * 3 * width + 2 * width + k, mask=real, other=0.0).to(tl.float32))
        h = f * h + (1 - f) * (2 * tl.sigmoid(2 * c) - 1)  # tanh(c)
        tl.store(states + row * width + k, h, mask=real)
        tl.store(out + row * width + k, (o * h).to(out.dtype.element_ty), mask=real)
    tl.store(last + lane * width + k, h, mask=real)


@triton.jit(do_not_specialize=["steps", "lanes"])
def _recurrence_backward(
    u,
    h0,
    states,
    out_gradient,
    last_gradient,
    gradient,
    h0_gradient,
    steps,
    lanes,
    width,
    BLOCK: tl.constexpr,
):
    lane = tl.program_id(0)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = k < width
    first = tl.load(h0 + lane * width + k, mask=real, other=0.0)
    carry = tl.load(last_gradient + lane * width + k, mask=real, other=0.0)
    h = tl.load(states + ((steps - 1) * lanes + lane).to(tl.int64) * width + k, mask=real, other=0.0)
    for i in range(steps):
        t = steps - 1 - i
        row = (t * lanes + lane).to(tl.int64)
        f = tl.sigmoid(tl.load(u + row * 3 * width + k, mask=real, other=0.0).to(tl.float32))
        c = tl.load(u + row * 3 * width + width + k, mask=real, other=0.0).to(tl.float32)
        c = 2 * tl.sigmoid(2 * c) - 1
        o = tl.sigmoid(tl.load(u + row * 3 * width + 2 * width + k, mask=real, other=0.0).to(tl.float32))
        g = tl.load(out_gradient + row * width + k, mask=real, other=0.0).to(tl.float32)
        before = tl.load(states + tl.maximum(row - lanes, 0) * width + k, mask=real, other=0.0)
        before = tl.where(t > 0, before, first)
        of_h = g * o + carry
        to = gradient + row * 3 * width + k
        tl.store(to, (of_h * (before - c) * f * (1 - f)).to(gradient.dtype.element_ty), mask=real)
        tl.store(to + width, (of_h * (1 - f) * (1 - c * c)).to(gradient.dtype.element_ty), mask=real)
        tl.store(to + 2 * width, (g * h * o * (1 - o)).to(gradient.dtype.element_ty), mask=real)
        carry = of_h * f
        h = before
    tl.store(h0_gradient + lane * width + k, carry, mask=real)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        (steps, lanes, _), width = u.shape, h0.shape[1]
        states = torch.empty((steps, lanes, width), device=u.device)
        out, last = torch.empty_like(states, dtype=u.dtype), torch.empty_like(h0)
        grid = (lanes, triton.cdiv(width, _CHANNELS))
        _recurrence_forward[grid](u, h0, states, out, last, steps, lanes, width, BLOCK=_CHANNELS)
        ctx.save_for_backward(u, h0, states)
        return out, last

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        u, h0, states = ctx.saved_tensors
        steps, lanes, width = states.shape
        gradient, h0_gradient = torch.empty_like(u), torch.empty_like(h0)
        tensors = u, h0, states, grads[0].contiguous(), grads[1].contiguous(), gradient, h0_gradient
        grid = (lanes, triton.cdiv(width, _CHANNELS))
        _recurrence_backward[grid](*tensors, steps, lanes, width, BLOCK=_CHANNELS)
        return gradient, h0_gradient


@triton.jit(do_not_specialize=["steps", "lanes"])
def _add_and_modulate_forward(
    x,
    change,
    scale,
    shift,
    total,
    y,
    steps,
    lanes,
    width,
    EPSILON: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    lane = tl.program_id(0)
    k = tl.arange(0, BLOCK)
    real = k < width
    a = tl.load(scale + lane * width + k, mask=real, other=0.0)
    b = tl.load(shift + lane * width + k, mask=real, other=0.0)
    first = tl.program_id(1) * STEPS
    for t in range(first, tl.minimum(first + STEPS, steps)):
        at = (t * lanes + lane).to(tl.int64) * width + k
        v = tl.load(x + at, mask=real, other=0.0) + tl.load(change + at, mask=real, other=0.0).to(tl.float32)
        inverse = 1 / tl.sqrt(tl.sum(v * v) / width + EPSILON)
        tl.store(total + at, v, mask=real)
        tl.store(y + at, (v * inverse * a + b).to(y.dtype.element_ty), mask=real)


@triton.jit(do_not_specialize=["steps", "lanes"])
def _add_and_modulate_backward(
    total, scale, total_gradient, y_gradient, gradient, change_gradient, scale_gradient, shift_gradient,
    steps, lanes, width, EPSILON: tl.constexpr, STEPS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    lane = tl.program_id(0)
    k = tl.arange(0, BLOCK)
    real = k < width
    a = tl.load(scale + lane * width + k, mask=real, other=0.0)
    of_scale = tl.zeros([BLOCK], tl.float32)
    of_shift = tl.zeros([BLOCK], tl.float32)
    first = tl.program_id(1) * STEPS
    for t in range(first, tl.minimum(first + STEPS, steps)):
        at = (t * lanes + lane).to(tl.int64) * width + k
        v = tl.load(total + at, mask=real, other=0.0)
        g = tl.load(y_gradient + at, mask=real, other=0.0).to(tl.float32)
        inverse = 1 / tl.sqrt(tl.sum(v * v) / width + EPSILON)
        n = v * inverse
        of_n = g * a
        of_v = inverse * (of_n - n * (tl.sum(of_n * n) / width))
        of_v += tl.load(total_gradient + at, mask=real, other=0.0)
        tl.store(gradient + at, of_v, mask=real)
        tl.store(change_gradient + at, of_v.to(change_gradient.dtype.element_ty), mask=real)
        of_scale += g * n
        of_shift += g
    tl.atomic_add(scale_gradient + lane * width + k, of_scale, mask=real)
    tl.atomic_add(shift_gradient + lane * width + k, of_shift, mask=real)


class _AddAndModulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        total, y = torch.empty_like(x), torch.empty_like(change)
        _add_and_modulate_forward[_grid(x)](x, change, scale, shift, total, y, *x.shape, **_constants(x))
        ctx.save_for_backward(total, scale)
        return total, y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        total, scale = ctx.saved_tensors
        total_gradient, y_gradient = (g.contiguous() for g in grads)
        results = (
            torch.empty_like(total),
            torch.empty_like(y_gradient),
            torch.zeros_like(scale),
            torch.zeros_like(scale),
        )
        tensors = total, scale, total_gradient, y_gradient, *results
        _add_and_modulate_backward[_grid(total)](*tensors, *total.shape, **_constants(total))
        return results


def _grid(x: Tensor) -> tuple[int, int]:
    return x.shape[1], triton.cdiv(x.shape[0], _STEPS)


def _constants(x: Tensor) -> dict[str, Any]:
    return {"EPSILON": _EPSILON, "STEPS": _STEPS, "BLOCK": triton.next_power_of_2(x.shape[2])}


@triton.jit(do_not_specialize=["rows"])
def _loss_forward(logits, target, nats, log_total, rows, ROWS: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    real = row < rows
    x = tl.load(logits + row[:, None] * 256 + tl.arange(0, 256)[None, :], mask=real[:, None], other=0.0)
    x = x.to(tl.float32)
    top = tl.max(x, 1)
    logarithm = top + tl.log(tl.sum(tl.exp(x - top[:, None]), 1))
    byte = tl.load(target + row, mask=real, other=0)
    chosen = tl.load(logits + row * 256 + byte, mask=real, other=0.0).to(tl.float32)
    tl.store(nats + row, logarithm - chosen, mask=real)
    tl.store(log_total + row, logarithm, mask=real)


@triton.jit(do_not_specialize=["rows"])
def _loss_backward(logits, target, log_total, nats_gradient, gradient, rows, ROWS: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    real = row < rows
    column = tl.arange(0, 256)[None, :]
    at = row[:, None] * 256 + column
    x = tl.load(logits + at, mask=real[:, None], other=0.0).to(tl.float32)
    p = tl.exp(x - tl.load(log_total + row, mask=real, other=0.0)[:, None])
    byte = tl.load(target + row, mask=real, other=0)
    g = tl.load(nats_gradient + row, mask=real, other=0.0)
    result = (p - tl.where(column == byte[:, None], 1.0, 0.0)) * g[:, None]
    tl.store(gradient + at, result.to(gradient.dtype.element_ty), mask=real[:, None])


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor]:
        nats, log_total = (torch.empty(target.shape, device=logits.device) for _ in range(2))
        grid = (triton.cdiv(target.numel(), _ROWS),)
        _loss_forward[grid](logits, target, nats, log_total, target.numel(), ROWS=_ROWS)
        ctx.save_for_backward(logits, target, log_total)
        return (nats,)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, target, log_total = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        grid = (triton.cdiv(target.numel(), _ROWS),)
        tensors = logits, target, log_total, grads[0].contiguous(), gradient
        _loss_backward[grid](*tensors, target.numel(), ROWS=_ROWS)
        return gradient, None
