"""The training loop: minutes or epochs of ELBO, checkpoints that survive anything.

Each worker thread computes the gradients of its own lanes (torch releases the GIL in its operations, and
one thread per operation scales better than two on products this small); one step then averages them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaezip.network.architecture import Architecture
from vaezip.training.checkpoint import load, save
from vaezip.training.data import Corpus, Sampler, SegmentSource
from vaezip.training.functions import cross_entropy
from vaezip.training.optimizer import RowAdam
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae
from vaezip.training.validation import Validation

LN2 = math.log(2)
CHECKPOINT = "checkpoint.pt"
_VALIDATIONS = 40  # per run, and more if a small corpus is read often:
_LOOK_SECONDS = 7.5  # one after every pass, but no sooner than this
_WARM_UP = 100  # steps
_KNOWN = 2  # passes after which a corpus can be overfitted
_LOST = 1.01  # of the best bits/byte: from here on it is no noise
_PATIENCE = 1.5  # times the bytes of the best network may be read before it is taken for the best
_ANNEALED = 1.4  # times the bytes that were best at the full learning rate suit a round with a schedule


class Progress(NamedTuple):
    """Where training stands; rates are running means."""

    step: int
    bytes_read: int
    seconds: float
    share: float  # of the budget
    bits_per_byte: float  # of x given z
    kl_bits: float  # per segment
    validation: float  # bits/byte of the best network yet on the validation files, null latent


@dataclass
class _Run:
    step: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    bits_per_byte: float = 8.0
    kl_bits: float = 0.0
    best: float = math.inf  # bits/byte on the validation files
    looked: tuple[int, float] = (0, 0.0)  # bytes read and seconds when these were measured last
    round: tuple[int, int] = (0, 0)  # step and bytes read when this round began
    round_bytes: int = 0  # to read in this round; 0: the first one, which has the whole budget
    enough: int = 0  # bytes that the first round had read when its network was best
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)


class _Gradients(NamedTuple):
    """What a worker found in its next chunk."""

    of: tuple[Tensor, ...]  # the summed loss, per parameter
    bytes: int
    nats: float  # of x given z
    kl: float  # nats, mean over the segments


class _Worker:
    """Some of the lanes, with what is carried from chunk to chunk: state, noise and choice of latent."""

    def __init__(self, vae: Vae, sampler: Sampler, lanes: int, generator: torch.Generator) -> None:
        a = vae.a
        self._vae = vae
        self._sampler = sampler
        self._generator = generator
        self._state = torch.zeros(a.layers, lanes, a.width)
        self._noise = torch.zeros(lanes, a.latents)
        self._null = torch.zeros(lanes, 1, dtype=torch.bool)

    def gradients(self, parameters: Sequence[Tensor], settings: Settings, kl_weight: float) -> _Gradients:
        """Read the next chunk."""
        chunk, g = self._sampler.next(), self._generator
        t = torch.from_numpy
        fresh, mask = t(chunk.fresh)[:, None], t(chunk.mask)
        self._noise = torch.where(fresh, torch.randn(self._noise.shape, generator=g), self._noise)
        null = torch.rand(self._null.shape, generator=g) < settings.null_share
        self._null = torch.where(fresh, null, self._null)
        posterior = self._vae.encoder(t(chunk.view), t(chunk.view_bytes))
        z = torch.where(self._null, 0.0, posterior.sample(self._noise))
        decoder = self._vae.decoder
        state = torch.where(fresh, decoder.initial_state(z), self._state)
        logits, last = decoder(t(chunk.seen), t(chunk.rows), z, state, self._kept(settings.dropout / 4))
        self._state = last.detach()
        nats = (cross_entropy(logits, t(chunk.target)) * mask).sum()
        # A segment pays for its z once, each chunk for its share; the floor holds for the batch's mean.
        share = (mask.sum(0) / t(chunk.segment_bytes))[:, None] * ~self._null
        kl = posterior.kl()
        mean_kl = (kl * share).sum(0) / share.sum().clamp(min=1e-6)
        loss = nats + kl_weight * mean_kl.clamp(min=settings.free_nats).sum() * share.sum()
        return _Gradients(
            torch.autograd.grad(loss, parameters),
            int(mask.sum()),
            float(nats.detach()),
            float(kl.detach().sum(1).mean()),
        )

    def _kept(self, dropout: float) -> Tensor | None:
        if not dropout:
            return None
        sites, width = self._vae.decoder.scale.shape
        kept = torch.empty(sites, len(self._noise), width)
        return kept.bernoulli_(1 - dropout, generator=self._generator) / (1 - dropout)


class Trainer:
    """Trains a VAE on a corpus; `run` yields progress until the budget is spent."""

    def __init__(self, vae: Vae, corpus: Corpus, settings: Settings, folder: Path) -> None:
        """Train `vae` on `corpus`, leaving checkpoint and best networks in `folder`."""
        torch.set_num_threads(1)
        self.settings = settings
        self.corpus = corpus
        self.vae = vae
        self._bfloat16 = bfloat16_pays() if settings.bfloat16 is None else settings.bfloat16
        self._checkpoint = folder / CHECKPOINT
        self._validation = Validation(corpus.validation, folder)
        self._run = _Run()
        self._tables = self.vae.decoder.tables
        self._dense = [p for p in self.vae.parameters() if p is not self._tables]
        self._new_optimizers()

    def _new_optimizers(self) -> None:
        settings = self.settings
        self._adam = torch.optim.AdamW(
            self._dense, lr=settings.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self._row_adam = RowAdam(self._tables, 2 * settings.lr)

    @property
    def curve(self) -> list[tuple[int, float, float, float]]:
        """Rows of (bytes read, seconds, bits/byte of x given z, KL in bits), a few per checkpoint."""
        return self._run.curve

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "architecture": self.vae.a.to_json(),
            "settings": asdict(self.settings),
            "vae": self.vae.state_dict(),
            "adam": self._adam.state_dict(),
            "row_adam": self._row_adam.state_dict(),
            "run": asdict(self._run),
        }
        save(state, self._checkpoint)

    @classmethod
    def resumed(cls, corpus: Corpus, settings: Settings, folder: Path) -> Trainer:
        """The trainer of an interrupted run; of `settings` it takes what `Settings.going_on` says."""
        state = load(folder / CHECKPOINT)
        vae = Vae(Architecture.from_json(state["architecture"]))
        vae.load_state_dict(state["vae"])
        trainer = cls(vae, corpus, Settings(**state["settings"]).going_on(settings), folder)
        trainer._adam.load_state_dict(state["adam"])
        trainer._row_adam.load_state_dict(state["row_adam"])
        trainer._run = _Run(**state["run"])
        return trainer

    @property
    def bytes_read(self) -> int:
        """So far, over all rounds."""
        return self._run.bytes_read

    def go_on(self) -> None:
        """Train in rounds, each of which goes on from what `vae` is now; before `run`."""
        self._validation.start(self.vae)

    def conclude(self) -> None:
        """Make `vae` the network that the run ends with."""
        self._validation.conclude(self.vae)

    def run(self) -> Iterator[Progress]:
        """Train until the budget is spent; yields after every step."""
        s, r = self.settings, self._run
        count = min(s.workers, s.lanes)
        source = SegmentSource(self.corpus.train, s.weights)
        # A resumed run reads other segments than the one before it did.
        workers = [
            _Worker(
                self.vae,
                Sampler(
                    self.vae.a,
                    self.vae.decoder.tags.numpy(),
                    source,
                    s.lanes // count,
                    s.chunk,
                    np.random.default_rng([s.seed, r.step, i]),
                    s.rescript_share,
                    s.dropout,
                ),
                s.lanes // count,
                torch.Generator().manual_seed(hash((s.seed, r.step, i)) & (2**63 - 1)),
            )
            for i in range(count)
        ]
        started = time.monotonic() - r.seconds
        saved = time.monotonic()
        if not r.step:
            self._validate()
        with ThreadPoolExecutor(count) as pool:
            while (share := self._share()) < 1:
                self._step(pool, workers, share)
                r.seconds = time.monotonic() - started
                if int(_VALIDATIONS * self._share()) > int(_VALIDATIONS * share) or self._passed():
                    self._validate()
                yield Progress(
                    r.step,
                    r.bytes_read,
                    r.seconds,
                    self._share(),
                    r.bits_per_byte,
                    r.kl_bits,
                    r.best,
                )
                if time.monotonic() - saved > s.checkpoint_seconds:
                    r.curve.append((r.bytes_read, r.seconds, r.bits_per_byte, r.kl_bits))
                    self.save()
                    saved = time.monotonic()
        r.curve.append((r.bytes_read, r.seconds, r.bits_per_byte, r.kl_bits))
        self.save()

    def _passed(self) -> bool:
        """Whether the corpus has been read once since the last look at the validation files."""
        run = self._run
        bytes_read, seconds = run.looked
        passed = run.bytes_read - bytes_read >= self.corpus.train_bytes
        return passed and run.seconds - seconds >= _LOOK_SECONDS

    def _validate(self) -> None:
        """Look at the validation files, and begin another round if this one is over."""
        run = self._run
        with self._autocast():
            bits_per_byte = self._validation.consider(self.vae)
        run.best = min(run.best, bits_per_byte)
        run.looked = (run.bytes_read, run.seconds)
        if not self._validation.has_start:
            return
        if run.round_bytes:
            over = self._round_share() >= 1
        else:
            if bits_per_byte == self._validation.best:
                run.enough = run.bytes_read
            known = run.step > 2 * _WARM_UP and run.bytes_read > _KNOWN * self.corpus.train_bytes
            lost = bits_per_byte > _LOST * self._validation.best
            over = known and (lost or run.bytes_read > _PATIENCE * run.enough)
        if over:
            self._next_round()

    def _next_round(self) -> None:
        """Share out what is left of the budget, and begin a round if it is enough for one."""
        run = self._run
        left = run.bytes_read * (1 / self._share() - 1)
        rounds = round(left / (_ANNEALED * max(run.enough, self.corpus.train_bytes)))
        if rounds:
            self._validation.next_round(self.vae)
            self._new_optimizers()
            run.round = (run.step, run.bytes_read)
            run.round_bytes = int(left / rounds)
            self.save()

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16)

    def _share(self) -> float:
        s, r = self.settings, self._run
        if s.minutes is not None:
            return r.seconds / 60 / s.minutes
        return r.bytes_read / ((s.epochs or 1.0) * self.corpus.train_bytes)

    def _round_share(self) -> float:
        run = self._run
        return (run.bytes_read - run.round[1]) / run.round_bytes if run.round_bytes else self._share()

    def _rate(self) -> float:
        """The learning rate, as a share of the full one: a short rise, a plateau, a cosine."""
        run, hold, share = self._run, self.settings.hold, min(1.0, self._round_share())
        rate = min(1.0, (run.step - run.round[0] + 1) / _WARM_UP)
        if share > hold:
            rate *= max(0.02, 0.5 + 0.5 * math.cos((share - hold) / (1 - hold) * math.pi))
        return rate

    def _step(self, pool: ThreadPoolExecutor, workers: list[_Worker], share: float) -> None:
        s, run = self.settings, self._run
        rate = self._rate()
        self._adam.param_groups[0]["lr"] = s.lr * rate
        parameters = [*self._dense, self._tables]
        kl_weight = min(1.0, share / s.kl_warm_up)

        def gradients(worker: _Worker) -> _Gradients:
            with self._autocast():
                return worker.gradients(parameters, s, kl_weight)

        results = list(pool.map(gradients, workers))
        count = sum(r.bytes for r in results)
        for i, p in enumerate(self._dense):
            p.grad = sum((r.of[i] for r in results), torch.zeros(())) / count
        torch.nn.utils.clip_grad_norm_(self._dense, 1.0)
        self._adam.step()
        contexts = self.vae.a.contexts
        sparse = [r.of[-1] for r in results]
        rows = torch.cat([g._indices()[0].view(-1, contexts) for g in sparse])
        values = torch.cat([g._values().view(len(g._indices()[0]) // contexts, contexts, -1) for g in sparse])
        self._row_adam.step(rows, values.div_(count), rate, pool)
        run.step += 1
        run.bytes_read += count
        keep = min(0.99, 1 - 1 / run.step)
        bits = sum(r.nats for r in results) / count / LN2
        run.bits_per_byte = keep * run.bits_per_byte + (1 - keep) * bits
        kl = sum(r.kl for r in results) / len(results) / LN2
        run.kl_bits = keep * run.kl_bits + (1 - keep) * kl


def bfloat16_pays() -> bool:
    """Whether this machine multiplies matrices faster in bfloat16 than in float32."""
    a, b = torch.randn(4096, 128), torch.randn(128, 256)
    seconds = []
    for x, y in ((a, b), (a.bfloat16(), b.bfloat16())):
        torch.mm(x, y)
        started = time.perf_counter()
        for _ in range(10):
            torch.mm(x, y)
        seconds.append(time.perf_counter() - started)
    return seconds[1] < seconds[0]
