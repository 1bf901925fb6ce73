"""What the commands share: options, the report of what went wrong, the progress bar."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import click

from vaezip.errors import FileError, VaezipError, printable

F = TypeVar("F", bound=Callable[..., Any])

STDIO = "-"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

files_argument = click.argument("files", nargs=-1)


def say(text: str) -> None:
    """A line for standard output."""
    print(text)


def complain(text: str) -> None:
    """A line for standard error; if nobody can hear it, never mind."""
    with suppress(OSError):
        print(f"vaezip: {printable(text)}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """A line for standard error on what was done."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


class ByteSize(click.ParamType):  # type: ignore[type-arg]  # which click 8.2 does not take
    """A number of bytes; K, M and G mean powers of 1024: `512K` -> 524288."""

    name = "size"

    def __init__(self, least: int, most: str) -> None:
        """most: as users write it."""
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As in any click.ParamType."""
        size = _size(str(value))
        if size is None or not self._least <= size <= (_size(self._most) or 0):
            self.fail(f"{value!r} is not a size from {self._least} to {self._most}", param, ctx)
        return size


def _size(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,20})([kmgt]?)(i?b)?", text, re.IGNORECASE)
    return int(match[1]) * _UNITS[match[2].lower()] if match else None


def max_output_option(command: F) -> F:
    """--max-output."""
    return click.option(
        "--max-output",
        "max_output_size",
        metavar="SIZE",
        type=ByteSize(0, "16T"),
        help="Refuse a file as soon as it proves to hold more than that, such as 100M.",
    )(command)


def model_option(command: F) -> F:
    """-m / --model."""
    return click.option("-m", "--model", metavar="MODEL", help="Model file, or the name of a shipped model.")(
        command
    )


def threads_option(command: F) -> F:
    """-T / --threads."""
    return click.option(
        "-T",
        "--threads",
        type=click.IntRange(0, 256),
        default=0,
        help="How many blocks to work on at once; 0, the default, is one per core. The output is the same.",
    )(command)


def verbosity_options(command: F) -> F:
    """-q and -v."""
    command = click.option("-v", "--verbose", is_flag=True, help="Say what was done with each file.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="No progress bar and no warnings.")(command)


class Report:
    """Tells the user what went wrong, and remembers the exit code: 1 beats 2 beats 0."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self.exit_code = 0

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Print a VaezipError and go on with the next file."""
        try:
            yield
        except VaezipError as error:
            self._tell(str(error), error.exit_code)
        except MemoryError as error:
            self._tell(str(error) or "not enough memory", 1)

    def warn(self, text: str) -> None:
        """Print what did not quite work."""
        self._tell(text, 2)

    def _tell(self, text: str, exit_code: int) -> None:
        if exit_code == 1 or not self._quiet:
            complain(text)
        if self.exit_code != 1:
            self.exit_code = exit_code


def mention_slow_engine(quiet: bool) -> None:
    """Tell the user where all will take a hundred times as long as it might."""
    from vaezip.engine import slow_engine_notice

    if not quiet and (notice := slow_engine_notice()):
        complain(notice)


@contextmanager
def progress_bar(name: str, total: int | None, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A bar on standard error, if that is a terminal and there is something to wait for."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm  # a tenth of the time that a small file takes

    with tqdm(
        total=total,
        desc=printable(name),
        unit="B",
        unit_scale=True,
        leave=False,
        delay=0.5,
    ) as bar:
        yield bar.update


def file_size(path: str) -> int | None:
    """Size for the progress bar; None if it cannot be told."""
    with suppress(OSError, ValueError):
        return os.stat(path).st_size or None
    return None


def refuse_terminal_input() -> None:
    """Raise FileError where compressed data should come from a terminal."""
    if sys.stdin.isatty():
        raise FileError("standard input: refusing to read compressed data from a terminal")


def refuse_terminal_output() -> None:
    """Raise FileError where compressed data would go to a terminal."""
    if sys.stdout.isatty():
        raise FileError("standard output: refusing to write compressed data to a terminal (-f does it)")
