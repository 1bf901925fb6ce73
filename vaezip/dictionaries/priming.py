"""Predictors that have read a text before the first byte: what others of its kind have taught."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from vaezip.mixing.history import hash_bits
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model
from vaezip.workers import thread_count

ROOM = 4096
"""Bytes that may follow before the tables should be larger."""
_MOST = (1 << 16) + 1  # bytes that may follow all the same
# Bytes, for what some 7000 bytes of text change. After a longer one the predictor is dropped, so that none
# keeps much memory; beside such a text, a new copy costs little.
_JOURNAL = 1 << 23
_CORES = thread_count(0)  # so many predictors are kept for later at most: each takes megabytes


class Primed:
    """A model that has read `text`; safe to use from several threads.

    A predictor's state takes megabytes. So it is not copied for every short text: what the text changes is
    changed back after it.
    """

    def __init__(self, model: Model, text: bytes) -> None:
        """Reads the text, as slowly as it is compressed. The model is not kept: it may go before this."""
        self._new = partial(model.engine.predictor, model.latent.null(), 0)
        self.text = text
        """What it has read."""
        self._states: dict[int, Predictor] = {}  # having read it, by the size of tables
        self._lock = threading.Lock()
        self._state(ROOM)
        self._idle: deque[Predictor] = deque(maxlen=_CORES)

    @contextmanager
    def predictor(self, size: int = 0) -> Iterator[Predictor]:
        """A predictor for `size` bytes, or for 65537 if that is 4096 at most; for this context alone.

        The size of its tables is part of the format: as of a block of the text and `size`, or 4096, bytes.
        """
        if size > ROOM:
            yield self._state(size).copy(size)
            return
        try:
            predictor = self._idle.pop()
        except IndexError:
            predictor = self._state(ROOM).copy(_MOST)
            predictor.mark(_JOURNAL)
        try:
            yield predictor
        finally:
            if predictor.rewind():
                self._idle.append(predictor)

    def _state(self, size: int) -> Predictor:
        """To be copied only: with tables for `size` bytes more."""
        whole = len(self.text) + size
        with self._lock:
            state = self._states.get(hash_bits(whole))
            if state is None:
                state = self._new(whole)
                state.intervals(np.frombuffer(self.text, np.uint8))
                self._states[hash_bits(whole)] = state
            return state
