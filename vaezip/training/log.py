"""The log of a training run: a CSV file that grows by a row now and then, and outlives the process.

A run is resumed from its checkpoint, and so is its log: rows after that are taken off.
"""

from __future__ import annotations

import csv
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from vaezip.byteio import ByteWriter
from vaezip.errors import FileError
from vaezip.files import open_source, reason
from vaezip.inputs import STDIO
from vaezip.outputs import Sink, refuse_existing, standard_output

if TYPE_CHECKING:
    from vaezip.training.loop import Progress

_ROWS = 1000  # of a run, or so
_MOST = 1 << 60  # bytes, steps


class Row(NamedTuple):
    """A row: the state of training after a step."""

    step: int
    bytes_read: int
    seconds: float  # of training
    share: float  # of the budget
    bits_per_byte: float  # of x given z, running mean
    kl_bits: float  # per segment, running mean
    validation: float | None  # bits/byte on the validation files, null latent, if just measured
    learning_rate: float  # of the dense weights
    round: int  # from 1

    def line(self) -> bytes:
        """The row as a line of the log."""
        validation = "" if self.validation is None else f"{self.validation:.5f}"
        return (
            f"{self.step},{self.bytes_read},{self.seconds:.3f},{self.share:.6f},{self.bits_per_byte:.5f},"
            f"{self.kl_bits:.3f},{validation},{self.learning_rate:.4g},{self.round}\n"
        ).encode()


_HEAD = ",".join(Row._fields).encode() + b"\n"


def read_log(data: bytes, name: str) -> list[Row]:
    """The rows of a log, but for one half written; raises FileError, which calls it `name`."""
    try:
        head, *lines = csv.reader(data[: data.rfind(b"\n") + 1].decode().splitlines())
        if tuple(head) == Row._fields and lines:
            return [_row(*line) for line in lines]
    except (TypeError, ValueError, csv.Error):
        pass
    raise FileError(f"{name}: holds neither what vaezip bench --json writes nor rows of vaezip train --log")


def _row(
    step: str,
    read: str,
    seconds: str,
    share: str,
    bits: str,
    kl: str,
    validation: str,
    rate: str,
    number: str,
) -> Row:
    """Raises ValueError for what cannot have come of a run."""
    counts = [int(cell) for cell in (step, read, number)]
    if not all(0 <= count < _MOST for count in counts):
        raise ValueError
    return Row(
        counts[0],
        counts[1],
        float(seconds),
        float(share),
        float(bits),
        float(kl),
        float(validation) if validation else None,
        float(rate),
        counts[2],
    )


def is_log(path: str) -> bool:
    """True if a file is a log; not if it cannot be read."""
    try:
        with open_source(path) as source:
            return source.read(len(_HEAD)) == _HEAD
    except FileError:
        return False


class TrainingLog:
    """The rows of a run, and the file that holds them."""

    def __init__(self, path: str | None) -> None:
        """path: of the file, `-` being standard output; without one, rows are kept here alone."""
        self.rows: list[Row] = []
        self._path = path
        self._sink: Sink | None = None
        self._due = 0  # the share of the budget, in rows, at which the next one is due

    def begin(self, step: int, *, resume: bool, overwrite: bool) -> None:
        """Open the file; for a run that is resumed at a step, with its rows until then.

        Raises FileError if it cannot be written, is there and may not be overwritten, or is no log.
        """
        if self._path is None:
            return
        if self._path == STDIO:
            self._sink = standard_output()
        else:
            how = 0 if resume else os.O_TRUNC if overwrite else os.O_EXCL
            if is_special(self._path):
                resume, how = False, 0
            flags = os.O_RDWR if resume else os.O_WRONLY
            try:
                descriptor = os.open(self._path, flags | how | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            except (OSError, ValueError) as error:
                raise FileError(f"{self._path}: cannot write: {reason(error)}") from error
            self._sink = Sink(self._path, descriptor)
            if resume:
                self._keep(descriptor, step)
        if not self.rows:
            ByteWriter(self._sink).write(_HEAD)

    def _keep(self, descriptor: int, step: int) -> None:
        """Remove the rows after a step."""
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read()
        end = 0
        if not _HEAD.startswith(data):  # as a run that was killed at once may have left it
            self.rows = [row for row in read_log(data, self._path or "") if row.step <= step]
            end = sum(map(len, data.splitlines(keepends=True)[: 1 + len(self.rows)])) if self.rows else 0
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)

    def add(self, progress: Progress) -> None:
        """Write a row, if it is time for one or the network has been measured.

        Raises FileError or OSError if that fails, and writes no more of them.
        """
        due = int(_ROWS * progress.share)
        if due < self._due and progress.measured is None:
            return
        self._due = due + 1
        line = Row(
            progress.step,
            progress.bytes_read,
            progress.seconds,
            progress.share,
            progress.bits_per_byte,
            progress.kl_bits,
            progress.measured,
            progress.learning_rate,
            progress.round,
        ).line()
        self.rows.append(_row(*line.decode().strip().split(",")))  # so that both draw the same
        if self._sink is not None:
            try:
                ByteWriter(self._sink).write(line)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the file."""
        sink, self._sink = self._sink, None
        if sink is not None and self._path != STDIO:
            os.close(sink.fileno())


def refuse_unwritable(path: str, overwrite: bool) -> None:
    """Raise FileError, before the work, if no file can be written there."""
    if path == STDIO or is_special(path):
        return
    refuse_existing(path, overwrite)
    folder = os.path.dirname(path) or os.curdir
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{path}: cannot write in the folder {folder}")


def is_special(path: str) -> bool:
    """True for what is neither a file nor a folder, such as a pipe."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
