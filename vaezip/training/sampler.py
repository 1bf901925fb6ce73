"""The segments that training reads, on a CPU or where a GPU has the whole corpus.

Training reads `lanes` segments side by side, `chunk` bytes of each per step; the recurrent state is
carried from chunk to chunk, so that the network learns from long text, too. A segment begins anywhere in a
file, with a state that has read nothing yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezip.network.architecture import MAX_ORDER, Architecture
from vaezip.network.contexts import context_slots, find_rows
from vaezip.network.encoder import ENCODER_BYTES, WINDOW, encoder_view
from vaezip.training.contexts import LaneContexts
from vaezip.training.data import Segments, SegmentSource
from vaezip.training.importance import Misses
from vaezip.training.rescript import rescript
from vaezip.training.vae import Decoder
from vaezip.workers import in_order

_LONGEST_SEGMENT = 32  # in chunks


class Chunk(NamedTuple):
    """One training step's input: lanes of segments, time first."""

    seen: Tensor  # int64 (T, B): the byte before each position, 0 where a segment begins
    rows: Tensor  # int64 (T, B, contexts)
    target: Tensor  # int64 (T, B)
    mask: Tensor  # float32 (T, B): 0 where a segment has ended
    view: Tensor  # int64 (B, n): the encoder's view of each whole segment
    view_bytes: Tensor  # int64 (B,)
    segment_bytes: Tensor  # float32 (B,): length of each whole segment
    fresh: Tensor  # bool (B,): the lane begins a new segment
    bytes: int  # that are real
    teacher_rows: Tensor | None = None  # as `rows`, of a teacher's tables, none of them withheld
    missed: Tensor | None = None  # float32 (T, B), see `Misses`


class _Drawing:
    """Draws segments of random lengths, some of them in another script; the same ones for every sampler."""

    def __init__(self, source: SegmentSource, chunk: int, rng: np.random.Generator, share: float) -> None:
        self.source = source
        self._chunk, self._rng, self._rescript_share = chunk, rng, share
        lengths = 2 ** np.arange(int(np.log2(_LONGEST_SEGMENT)) + 1)
        self._lengths = lengths * chunk
        self._length_p = (1 / lengths) / (1 / lengths).sum()

    @property
    def longest(self) -> int:
        """Bytes of the longest segment."""
        return int(self._lengths[-1])

    def draw(self, count: int) -> tuple[Segments, dict[int, NDArray[np.uint8]]]:
        """Places of `count` segments, and the text of those that are not read as they are there."""
        length = self._rng.choice(self._lengths, size=count, p=self._length_p)
        segments = self.source.places(self._rng, length, self._chunk)
        rewritten = {}
        for i in np.flatnonzero(self._rng.random(count) < self._rescript_share):
            rewritten[int(i)] = rescript(self.text(segments, int(i)), self._rng)
            segments.length[i] = len(rewritten[int(i)])
        return segments, rewritten

    def text(self, segments: Segments, i: int) -> NDArray[np.uint8]:
        """The text of the i-th of these."""
        return self.source.text(*(int(numbers[i]) for numbers in segments))


class _Segment:
    def __init__(
        self, data: NDArray[np.uint8], rows: list[NDArray[np.int64]], missed: NDArray[np.float32] | None
    ) -> None:
        """rows: of our tables, and of the teacher's if there is one; missed: see `Misses`."""
        self.data, self.missed = data, missed
        self.seen = np.concatenate([np.zeros(1, np.uint8), data[:-1]])
        self.rows = [found.astype(np.int32) for found in rows]
        self.view = encoder_view(data)
        self.at = 0


class Sampler:
    """Endless chunks of random segments of the training files, by the reference's contexts."""

    def __init__(
        self,
        a: Architecture,
        tags: NDArray[np.uint8],
        source: SegmentSource,
        lanes: int,
        chunk: int,
        rng: np.random.Generator,
        rescript_share: float = 0.0,
        dropout: float = 0.0,
        teacher: Decoder | None = None,
        misses: Misses | None = None,
    ) -> None:
        self._a = a
        self._tags = tags
        self._teacher, self._misses = teacher, misses
        self._chunk = chunk
        self._rng = rng
        self._dropout = dropout
        self._drawing = _Drawing(source, chunk, rng, rescript_share)
        self._lanes = self._draw(lanes)

    def _draw(self, count: int) -> list[_Segment]:
        segments, rewritten = self._drawing.draw(count)
        texts = (rewritten.get(i, self._drawing.text(segments, i)) for i in range(count))
        misses = self._misses
        return [_Segment(text, self._rows(text), misses(text) if misses else None) for text in texts]

    def _rows(self, segment: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
        """A withheld context is read as a stranger is: so the network learns to do without any of them."""
        slots = context_slots(self._a, segment[None])[0]
        rows = find_rows(self._a, slots, self._tags)
        if self._dropout:
            strangers = find_rows(self._a, slots, np.zeros_like(self._tags))
            rows = np.where(self._rng.random(rows.shape) < self._dropout, strangers, rows)
        if self._teacher is None:
            return [rows]
        if not self._teacher.a.hashes_as(self._a):
            slots = context_slots(self._teacher.a, segment[None])[0]
        return [rows, find_rows(self._teacher.a, slots, self._teacher.tags.numpy())]

    def next(self) -> Chunk:
        """The next chunk of every lane; a lane whose segment has ended begins another."""
        lanes, size = len(self._lanes), self._chunk
        seen = np.zeros((lanes, size), np.int64)
        networks = [self._a] if self._teacher is None else [self._a, self._teacher.a]
        rows = [np.zeros((lanes, size, a.contexts), np.int64) for a in networks]
        target = np.zeros((lanes, size), np.int64)
        mask = np.zeros((lanes, size), np.float32)
        missed = np.ones((lanes, size), np.float32) if self._misses else None
        fresh = np.zeros(lanes, bool)
        done = [i for i, segment in enumerate(self._lanes) if segment.at >= len(segment.data)]
        for i, segment in zip(done, self._draw(len(done)), strict=True):
            self._lanes[i] = segment
        for i, segment in enumerate(self._lanes):
            part = slice(segment.at, segment.at + size)
            n = len(segment.data[part])
            seen[i, :n], target[i, :n] = segment.seen[part], segment.data[part]
            for found, of_segment in zip(rows, segment.rows, strict=True):
                found[i, :n] = of_segment[part]
            mask[i, :n] = 1
            if missed is not None and segment.missed is not None:
                missed[i, :n] = segment.missed[part]
            fresh[i] = segment.at == 0
            segment.at += size
        view_bytes = np.array([len(s.view) for s in self._lanes])
        view = np.zeros((lanes, _width(view_bytes)), np.int64)
        for i, segment in enumerate(self._lanes):
            view[i, : len(segment.view)] = segment.view
        t = torch.from_numpy
        ours, *theirs = (t(np.ascontiguousarray(found.transpose(1, 0, 2))) for found in rows)
        return Chunk(
            t(np.ascontiguousarray(seen.T)),
            ours,
            t(np.ascontiguousarray(target.T)),
            t(np.ascontiguousarray(mask.T)),
            t(view),
            t(view_bytes),
            t(np.array([len(s.data) for s in self._lanes], np.float32)),
            t(fresh),
            int(mask.sum()),
            teacher_rows=theirs[0] if theirs else None,
            missed=None if missed is None else t(np.ascontiguousarray(missed.T)),
        )


class DeviceSampler:
    """The same chunks, of a corpus in a device's memory: what a step costs the host are a few numbers a lane.

    Behind the files there is room for a segment of every lane, where those in another script are put.
    """

    def __init__(
        self,
        a: Architecture,
        tags: Tensor,
        source: SegmentSource,
        lanes: int,
        chunk: int,
        rng: np.random.Generator,
        rescript_share: float = 0.0,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
        teacher: Decoder | None = None,
        misses: Misses | None = None,
    ) -> None:
        """tags: uint8 (rows of all tables,), where all is to be; generator: for dropout, there.

        teacher: a network that reads the same text with its own rows, there as well. misses: computed on the
        CPU, on all its cores.
        """
        device = tags.device
        self._chunk, self._dropout, self._generator = chunk, dropout, generator
        self._contexts, self._tags = LaneContexts(a, lanes, chunk, device), tags
        self._teacher, self._theirs = teacher, None  # contexts of a teacher, if it has others
        if teacher is not None and not teacher.a.hashes_as(a):
            self._theirs = LaneContexts(teacher.a, lanes, chunk, device)
        self._drawing = _Drawing(source, chunk, rng, rescript_share)
        sizes = [len(f.data) for f in source.files]
        *self._offsets, self._own = np.cumsum([0, *sizes])
        text = np.empty(self._own + lanes * self._drawing.longest, np.uint8)
        np.concatenate([f.data for f in source.files], out=text[: self._own])
        self._text = torch.from_numpy(text).to(device)
        self._places = np.zeros((3, lanes), np.int64)  # offset in the text, length, and bytes read
        self._window = torch.arange(-1 - MAX_ORDER, chunk, device=device)
        self._misses, self._missed = misses, None
        if misses is not None:
            self._missed = torch.ones((lanes, self._drawing.longest + chunk), device=device)
        self._plain = torch.arange(ENCODER_BYTES, device=device)

    def next(self) -> Chunk:
        """The next chunk of every lane; a lane whose segment has ended begins another."""
        _, length, at = self._places
        done = np.flatnonzero(at >= length)
        if len(done):
            self._begin(done)
        offset_, length_, at_ = self._sent(torch.from_numpy(self._places.copy()))[:, :, None]
        position = at_ + self._window
        there = (position >= 0) & (position < length_)
        text = self._text[(offset_ + position).clamp(0, len(self._text) - 1)].long()
        text = torch.where(there, text, 0)
        fresh = at_[:, 0] == 0
        ours = self._contexts.rows(text[:, :-1], fresh)
        rows = ours.found(self._tags)
        if self._dropout:
            chance = torch.rand(rows.shape, device=rows.device, generator=self._generator)
            rows = torch.where(chance < self._dropout, ours.shared, rows)
        teacher_rows = None
        if self._teacher is not None:
            theirs = self._theirs.rows(text[:, :-1], fresh) if self._theirs else ours
            teacher_rows = theirs.found(self._teacher.tags).transpose(0, 1).contiguous()
        first = MAX_ORDER + 1  # of the window, that is predicted
        missed = None
        if self._missed is not None:
            missed = self._missed.gather(1, at_ + self._window[first:]).T.contiguous()
        view_bytes = length_[:, 0].clamp(max=ENCODER_BYTES)
        view = self._view(offset_, length_, _width(np.minimum(length, ENCODER_BYTES)))
        count = int(np.minimum(length - at, self._chunk).sum())
        at += self._chunk
        return Chunk(
            text[:, first - 1 : -1].T.contiguous(),
            rows.transpose(0, 1).contiguous(),
            text[:, first:].T.contiguous(),
            there[:, first:].T.float().contiguous(),
            view,
            view_bytes,
            length_[:, 0].float(),
            fresh,
            count,
            teacher_rows,
            missed,
        )

    def _begin(self, lanes: NDArray[np.int64]) -> None:
        segments, rewritten = self._drawing.draw(len(lanes))
        offset, length, at = self._places
        offset[lanes] = np.take(self._offsets, segments.file) + segments.offset
        length[lanes], at[lanes] = segments.length, 0
        for i, text in rewritten.items():
            offset[lanes[i]] = here = self._own + lanes[i] * self._drawing.longest
            self._text[here : here + len(text)] = self._sent(torch.from_numpy(text.copy()))
        if self._misses is not None and self._missed is not None:
            texts = [rewritten.get(i, self._drawing.text(segments, i)) for i in range(len(lanes))]
            found = self._sent(torch.from_numpy(np.concatenate([*in_order(self._misses, texts, 0)])))
            for lane, part in zip(lanes, torch.split(found, [*map(len, texts)]), strict=True):
                self._missed[lane, : len(part)] = part

    def _view(self, offset: Tensor, length: Tensor, width: int) -> Tensor:
        """`encoder_view` of every lane's segment; offset and length: (lanes, 1)."""
        plain = self._plain[:width]
        window, inside = plain // WINDOW, plain % WINDOW
        spread = window * (length - WINDOW) // (ENCODER_BYTES // WINDOW - 1) + inside
        at = torch.where(length > ENCODER_BYTES, spread, plain)
        text = self._text[offset + torch.minimum(at, length - 1)].long()
        return torch.where(at < length, text, 0)

    def _sent(self, x: Tensor) -> Tensor:
        """`x` on the device, without waiting for what that is doing."""
        if self._text.device.type == "cpu":
            return x
        return x.pin_memory().to(self._text.device, non_blocking=True)


def _width(view_bytes: NDArray[np.int64]) -> int:
    """The width of the batch's views: that of the longest, and whole patches of patches."""
    return -(-int(view_bytes.max()) // 64) * 64
