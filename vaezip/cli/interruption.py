"""Signals that ask a command to end: the first one lets it put things in order, a second one does not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SAME_SECONDS = 1.0  # timeout(1) and a terminal that closes send two at once
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last one


class Interrupted(BaseException):
    """A signal has asked the command to end; not an Exception, so that nothing takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._number = number

    def end(self) -> int:
        """End by the signal itself, as whoever sent it wants to see; else the exit code that says as much."""
        signal.raise_signal(self._number)
        return 128 + self._number


class Interruption:
    """The state of what signals have asked for; see `interruption`."""

    def __init__(self, before: Mapping[int, Any]) -> None:
        """before: the handlers that a second signal is left to."""
        self._before = before
        self._number: int | None = None
        self._at = 0.0
        self._deferred = False

    @property
    def requested(self) -> bool:
        """True once the command is to end."""
        return self._number is not None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the body look at `requested` itself; Interrupted comes when it is left."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._number is not None:
            raise Interrupted(self._number)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self._number is not None:
            if time.monotonic() - self._at > _SAME_SECONDS:
                if callable(self._before[number]):
                    self._before[number](number, frame)
                os._exit(128 + number)
            return
        self._number, self._at = number, time.monotonic()
        if not self._deferred:
            raise Interrupted(number)


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted; one that is ignored, as by nohup, stays so."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    before = {
        number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)
    }
    state = Interruption(before)
    for number in before:
        signal.signal(number, state.handle)
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
