"""The float VAE that is trained: the same network that `vaezip.network` runs in integers.

Decoder: a gated linear recurrence, trained on all time steps' matrix products at once (Martin & Cundy
2018, arXiv:1709.04057; Bradbury et al. 2017, arXiv:1611.01576). Every product's input is normalised
(RMSNorm), then scaled and shifted by functions of z (FiLM; Perez et al. 2018, arXiv:1709.07871). Encoder:
strided convolutions, pooled, giving a diagonal Gaussian. -ELBO = E_q[-log p(x|z)] + KL(q(z|x) || p(z)),
z = mean + scale * noise (Kingma & Welling 2014, arXiv:1312.6114).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vaezip.network.architecture import Architecture
from vaezip.training.functions import add_and_modulate, lookup, recurrence


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
        mask = (torch.arange(x.shape[1], device=x.device) < patches[:, None]).to(x.dtype)
        pooled = torch.einsum("bnc,bn->bc", x, mask) / patches.clamp(min=1)[:, None]
        hidden = torch.relu(self.hidden(nn.functional.rms_norm(pooled, pooled.shape[-1:])))
        return Posterior(self.mean(hidden), (self.log_scale(hidden) - 0.5).clamp(-4, 0.5))


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

    def forward(
        self, x: Tensor, change: Tensor, modulations: list[tuple[Tensor, Tensor]], h0: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x, its change (T, B, H) and h0 (B, H) -> x, its next change, and the last state.

        A change is added where x is normalised next: one pass over memory does both.
        """
        x, y = add_and_modulate(x, change, *modulations[0])
        out, h = recurrence(self.gates(y), h0)
        x, y = add_and_modulate(x, self.out(out), *modulations[1])
        return x, self.down(torch.relu(self.up(y))), h


class Decoder(nn.Module):
    """p(x_t | x_<t, z)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.tables = nn.Parameter(torch.randn(a.table_offsets[-1], a.table_dim) * 0.02)
        self.tags = nn.Buffer(torch.zeros(a.table_offsets[-1], dtype=torch.uint8))  # see `find_rows`
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

    def modulation(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and shifts of every normalisation, (sites, B, H) each."""
        with torch.autocast(z.device.type, enabled=False):  # else 1 + a little is 1, in bfloat16
            of_scale, of_shift = (torch.einsum("bz,zsh->sbh", z, w) for w in (self.z_scale, self.z_shift))
            return self.scale[:, None] * (1 + of_scale), self.shift[:, None] + of_shift

    def initial_state(self, z: Tensor) -> Tensor:
        """h0 of every layer, (layers, B, H)."""
        return torch.tanh(self.start[:, None] + torch.einsum("bz,zlh->lbh", z, self.z_start))

    def forward(
        self, seen: Tensor, rows: Tensor, z: Tensor, state: Tensor, kept: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """seen: the bytes before, int64 (T, B); rows: int64 (T, B, contexts), from `find_rows`.

        kept: factors of the normalised channels, (sites, B, H), the same for all T: dropout as in Gal &
        Ghahramani 2016 (arXiv:1512.05287). Returns logits (T, B, 256) and the state after the last byte,
        (layers, B, H).
        """
        scale, shift = self.modulation(z)
        if kept is not None:
            scale, shift = scale * kept, shift * kept
        modulations = list(zip(scale.unbind(0), shift.unbind(0), strict=True))
        found = lookup(self.tables, rows).flatten(2)
        x, change = self.byte(seen), self.features(found)
        after = []
        for i, layer in enumerate(self.layers):
            x, change, h = layer(x, change, modulations[2 * i : 2 * i + 2], state[i])
            after.append(h)
        return self.head(add_and_modulate(x, change, *modulations[-1])[1]), torch.stack(after)


class Vae(nn.Module):
    """Encoder and decoder."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.encoder = Encoder(a)
        self.decoder = Decoder(a)

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return self.decoder.tables.device


def packed(vae: Vae) -> dict[str, Any]:
    """A network as tensors and plain values."""
    return {"architecture": vae.a.to_json(), "vae": vae.state_dict()}


def unpacked(state: dict[str, Any]) -> Vae:
    """Inverse of `packed`, on the CPU; `state` may have more."""
    vae = Vae(Architecture.from_json(state["architecture"]))
    vae.load_state_dict(state["vae"])
    return vae
