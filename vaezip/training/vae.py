"""The float VAE that is trained: the same network that `vaezip.network` runs in integers.

Decoder: a gated linear recurrence, trained on all time steps' matrix products at once (Martin & Cundy
2018, arXiv:1709.04057; Bradbury et al. 2017, arXiv:1611.01576). Every product's input is normalised
(RMSNorm), then scaled and shifted by functions of z. Encoder: strided convolutions, pooled, giving a
diagonal Gaussian. -ELBO = E_q[-log p(x|z)] + KL(q(z|x) || p(z)), z = mean + scale * noise (Kingma &
Welling 2014, arXiv:1312.6114).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vaezip.network.architecture import Architecture


class _Recurrence(torch.autograd.Function):
    """h_t = f_t h_(t-1) + (1 - f_t) c_t, out_t = o_t h_t, with f, c, o = gates of u.

    u: (T, B, 3H) pre-activations of f, c, o; h0: (B, H). Returns out (T, B, H) and the last h (B, H).
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        f, c, o = u.chunk(3, -1)
        f, o = f.sigmoid(), o.sigmoid()
        c = (c + c).sigmoid_().mul_(2).sub_(1)
        hs = torch.addcmul(c, f, c, value=-1)
        h = h0
        for ft, ht in zip(f.unbind(0), hs.unbind(0), strict=True):
            h = ht.addcmul_(ft, h)
        ctx.save_for_backward(f, c, o, hs, h0)
        return o * hs, h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        f, c, o, hs, h0 = ctx.saved_tensors
        g, g_last = grads
        du = torch.empty((*f.shape[:2], 3 * f.shape[2]), dtype=f.dtype)
        uf, uc, uo = du.chunk(3, -1)
        uo.copy_(torch.ops.aten.sigmoid_backward(g * hs, o))
        gh = g * o
        gh[-1] += g_last
        steps = gh.unbind(0)
        fs = f.unbind(0)
        for t in range(len(steps) - 1, 0, -1):
            steps[t - 1].addcmul_(fs[t], steps[t])
        before = torch.cat([h0[None], hs[:-1]])
        uf.copy_(torch.ops.aten.sigmoid_backward(before.sub_(c).mul_(gh), f))
        dh0 = gh[0] * f[0]
        gc = torch.addcmul(gh, gh, f, value=-1)
        uc.copy_(torch.ops.aten.tanh_backward(gc, c))
        return du, dh0


class _CrossEntropy(torch.autograd.Function):
    """-log softmax(logits)[target]: (N, 256), (N,) -> (N,); its gradient reuses the forward's memory."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        logp = torch.log_softmax(logits, -1)
        ctx.save_for_backward(logp, target)
        return -logp.gather(1, target[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logp, target = ctx.saved_tensors
        p = logp.exp_()
        p.scatter_add_(1, target[:, None], torch.full_like(p[:, :1], -1.0))
        return p.mul_(grads[0][:, None]), None


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log p(target) in nats per byte: (T, B, 256), (T, B) -> (T, B)."""
    nats: Tensor = _CrossEntropy.apply(logits.flatten(0, 1).float(), target.flatten())  # type: ignore[no-untyped-call]
    return nats.view_as(target)


class Posterior(NamedTuple):
    """q(z|x), a diagonal Gaussian: mean and log of the standard deviation, each (B, latents)."""

    mean: Tensor
    log_scale: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """z = mean + scale * noise."""
        return self.mean + self.log_scale.exp() * noise

    def kl(self) -> Tensor:
        """KL(q || N(0, I)) per dimension in nats, (B, latents)."""
        return 0.5 * (self.mean**2 + (2 * self.log_scale).exp() - 1) - self.log_scale


class Encoder(nn.Module):
    """Bytes of a block -> q(z|x)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width, patch = a.encoder_width, a.patch
        self.patch = patch
        self.byte = nn.Embedding(256, width // 4)
        self.conv1 = nn.Linear(patch * (width // 4), width)
        self.conv2 = nn.Linear(patch * width, width)
        self.hidden = nn.Linear(width, width)
        self.mean = nn.Linear(width, a.latents)
        self.log_scale = nn.Linear(width, a.latents)

    def forward(self, view: Tensor, length: Tensor) -> Posterior:
        """view: int64 (B, n), n a multiple of patch**2; length: bytes of each that are real, (B,)."""
        lanes, n = view.shape
        x = self.byte(view).view(lanes, n // self.patch, -1)
        x = torch.relu(self.conv1(x)).view(lanes, n // self.patch**2, -1)
        x = torch.relu(self.conv2(x))
        patches = length // self.patch**2
        mask = (torch.arange(x.shape[1]) < patches[:, None]).to(x.dtype)
        pooled = torch.einsum("bnc,bn->bc", x, mask) / patches.clamp(min=1)[:, None]
        hidden = torch.relu(self.hidden(nn.functional.rms_norm(pooled, pooled.shape[-1:])))
        return Posterior(self.mean(hidden), (self.log_scale(hidden) - 0.5).clamp(-4, 0.5))


def _styled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """RMSNorm, then what z sets: x (T, B, H); scale and shift (B, H)."""
    return torch.addcmul(shift, nn.functional.rms_norm(x, x.shape[-1:]), scale)


class Layer(nn.Module):
    """{gated linear recurrence, feed-forward}, both residual."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.width
        self.gates = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, a.expansion * width)
        self.down = nn.Linear(a.expansion * width, width)
        with torch.no_grad():  # time constants from a few bytes to a few hundred
            self.gates.bias[:width] = torch.linspace(-1, 5, width)

    def forward(self, x: Tensor, styles: list[tuple[Tensor, Tensor]], h0: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, H) and h0 (B, H) -> x and the last state."""
        u = self.gates(_styled(x, *styles[0]))
        out, h = _Recurrence.apply(u.float(), h0)  # type: ignore[no-untyped-call]
        x = x + self.out(out)
        return x + self.down(torch.relu(self.up(_styled(x, *styles[1])))), h


class Decoder(nn.Module):
    """p(x_t | x_<t, z)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.tables = nn.Parameter(torch.randn(a.table_starts[-1], a.table_dim) * 0.02)
        self.tags = nn.Buffer(torch.zeros(a.table_starts[-1], dtype=torch.uint8))  # see `find_rows`
        self.byte = nn.Embedding(256, a.width)
        self.features = nn.Linear(a.contexts * a.table_dim, a.width, bias=False)
        self.layers = nn.ModuleList(Layer(a) for _ in range(a.layers))
        self.head = nn.Linear(a.width, 256)
        sites = 2 * a.layers + 1  # normalisations whose scale and shift z sets
        self.scale = nn.Parameter(torch.ones(sites, a.width))
        self.shift = nn.Parameter(torch.zeros(sites, a.width))
        self.z_scale = nn.Parameter(torch.zeros(a.latents, sites, a.width))
        self.z_shift = nn.Parameter(torch.randn(a.latents, sites, a.width) * 0.02)
        self.start = nn.Parameter(torch.zeros(a.layers, a.width))
        self.z_start = nn.Parameter(torch.randn(a.latents, a.layers, a.width) * 0.02)

    def style(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and shifts of every normalisation, (sites, B, H) each."""
        scale = self.scale[:, None] * (1 + torch.einsum("bz,zsh->sbh", z, self.z_scale))
        return scale, self.shift[:, None] + torch.einsum("bz,zsh->sbh", z, self.z_shift)

    def initial_state(self, z: Tensor) -> Tensor:
        """h0 of every layer, (layers, B, H)."""
        return torch.tanh(self.start[:, None] + torch.einsum("bz,zlh->lbh", z, self.z_start))

    def forward(self, seen: Tensor, rows: Tensor, z: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """seen: the bytes before, int64 (T, B); rows: int64 (T, B, contexts), from `find_rows`.

        Returns logits (T, B, 256) and the state after the last byte, (layers, B, H).
        """
        scale, shift = self.style(z)
        styles = list(zip(scale.unbind(0), shift.unbind(0), strict=True))
        found = nn.functional.embedding(rows, self.tables, sparse=True).flatten(2)
        x = self.byte(seen) + self.features(found)
        after = []
        for i, layer in enumerate(self.layers):
            x, h = layer(x, styles[2 * i : 2 * i + 2], state[i])
            after.append(h)
        return self.head(_styled(x, *styles[-1])), torch.stack(after)


class Vae(nn.Module):
    """Encoder and decoder."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.encoder = Encoder(a)
        self.decoder = Decoder(a)
