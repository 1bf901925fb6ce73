"""The progress of `vaezip train`, on standard error: a bar on a terminal, else a line per minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from vaezip.cli.report import complain, note

if TYPE_CHECKING:
    from vaezip.training.loop import Progress

_FIRST, _EVERY = 10.0, 60.0  # seconds


class TrainingProgress:
    """Shows the progress of training, and what comes after it; a context manager."""

    def __init__(self, quiet: bool, *, has_bar: bool = True) -> None:
        """has_bar: unless something else appears on the terminal meanwhile."""
        from tqdm import tqdm

        self._quiet = quiet
        self._terminal = sys.stderr.isatty() and (has_bar or not sys.stdout.isatty())
        self._due = time.monotonic() + _FIRST
        self._bar = tqdm(
            total=100, disable=quiet or not self._terminal, bar_format="{percentage:3.0f}%|{bar}| {desc}"
        )

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def say(self, text: str) -> None:
        """Print a line, but for -q."""
        if not self._quiet:
            self._bar.clear()
            note(text)

    def warn(self, warnings: Sequence[str]) -> int:
        """A line for each; returns how many."""
        for warning in warnings:
            self._bar.clear()
            complain(warning)
        return len(warnings)

    def show(self, progress: Progress) -> None:
        """Show where training stands."""
        if self._terminal:
            self._bar.n = min(100, round(100 * progress.share))
            self._bar.set_description_str(_text(progress))
        elif time.monotonic() > self._due:
            self.say(f"{min(100.0, 100 * progress.share):.0f}%: {_text(progress)}")
            self._due = time.monotonic() + _EVERY


def _text(progress: Progress) -> str:
    rate = progress.bytes_read / max(1e-9, progress.seconds) / 1e3
    return (
        f"{duration(progress.seconds_left)} left, {progress.bytes_read / 1e6:.1f} MB read, {rate:.0f} KB/s, "
        f"{progress.bits_per_byte:.3f} bits/byte + KL {progress.kl_bits:.1f} bits, "
        f"best {progress.validation:.3f} on validation files"
    )


def duration(seconds: float) -> str:
    """`4:07` or `2:04:07`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
