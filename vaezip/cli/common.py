"""What the commands share: options, the report of what went wrong, the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from vaezip.errors import FileError, VaezipError

F = TypeVar("F", bound=Callable[..., Any])

STDIO = Path("-")

files_argument = click.argument("files", nargs=-1, type=click.Path(path_type=Path))


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
        type=click.IntRange(min=0),
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
            if error.exit_code == 1 or not self._quiet:
                click.echo(f"vaezip: {error}", err=True)
            if self.exit_code != 1:
                self.exit_code = error.exit_code


@contextmanager
def progress_bar(name: str, total: int | None, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A bar on standard error, if that is a terminal and there is something to wait for."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm  # a tenth of the time that a small file takes

    with tqdm(
        total=total,
        desc=name,
        unit="B",
        unit_scale=True,
        leave=False,
        delay=0.5,
    ) as bar:
        yield bar.update


def file_size(path: Path) -> int | None:
    """Size for the progress bar; None if it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def binary_stdin(compressed: bool) -> BinaryIO:
    """Standard input; refuses a terminal where compressed data should come from."""
    if compressed and sys.stdin.isatty():
        raise FileError("standard input: refusing to read compressed data from a terminal")
    return sys.stdin.buffer


def binary_stdout(compressed: bool, force: bool) -> BinaryIO:
    """Standard output; refuses a terminal where compressed data would go to."""
    if compressed and not force and sys.stdout.isatty():
        raise FileError("standard output: refusing to write compressed data to a terminal (-f does it)")
    return sys.stdout.buffer
