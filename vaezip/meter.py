"""The progress of work that several threads do."""

from __future__ import annotations

import threading
from collections.abc import Callable

Ticker = Callable[[int], object]


class Meter:
    """Passes on how much has been done since the last call, one call at a time."""

    def __init__(self, progress: Ticker | None) -> None:
        """progress: called with an amount; None: nobody wants to know."""
        self._progress = progress
        self._lock = threading.Lock()
        self.total = 0

    def add(self, amount: int) -> None:
        """Count so much more work as done."""
        with self._lock:
            self.total += amount
            if amount and self._progress is not None:
                self._progress(amount)


class Part:
    """A part of all work, of known amount, that is done in known steps."""

    def __init__(self, meter: Meter, amount: int, steps: int) -> None:
        self._meter, self._amount, self._steps = meter, amount, steps
        self._done = self._reported = 0

    def tick(self, steps: int) -> None:
        """Count so many more steps as done."""
        self._done = min(self._done + steps, self._steps)
        self._report(self._amount * self._done // max(1, self._steps))

    def finish(self) -> None:
        """Count all steps as done."""
        self._report(self._amount)

    def _report(self, amount: int) -> None:
        self._meter.add(amount - self._reported)
        self._reported = amount
