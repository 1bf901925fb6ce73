"""What the commands share: options, the report of what went wrong, the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
from tqdm import tqdm

from vaezip.errors import FileError, VaezipError

F = TypeVar("F", bound=Callable[..., Any])

STDIO = Path("-")

files_argument = click.argument("files", nargs=-1, type=click.Path(path_type=Path))


def model_option(command: F) -> F:
    """-m / --model."""
    return click.option("-m", "--model", metavar="MODEL", help="Model file, or the name of a shipped model.")(
        command
    )


def verbosity_options(command: F) -> F:
    """-q and -v."""
    command = click.option("-v", "--verbose", is_flag=True, help="Say what was done with each file.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="No progress bar and no warnings.")(command)


def output_options(command: F) -> F:
    """-c, -o, -f, -k and --rm."""
    for option in (
        click.option("--rm", "remove", is_flag=True, help="Remove each input once its output is safe."),
        click.option("-k", "--keep", is_flag=True, help="Keep the inputs (the default)."),
        click.option("-f", "--force", is_flag=True, help="Overwrite files; write binary data to a terminal."),
        click.option("-o", "--output", type=click.Path(path_type=Path), help="Name of the output file."),
        click.option("-c", "--stdout", is_flag=True, help="Write to standard output; keeps the inputs."),
    ):
        command = option(command)
    return command


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
    with tqdm(
        total=total,
        desc=name,
        unit="B",
        unit_scale=True,
        leave=False,
        delay=0.5,
        disable=True if quiet else None,
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


def plan_targets(
    files: Iterable[Path],
    output: Path | None,
    stdout: bool,
    remove: bool,
    name: Callable[[Path], Path],
    report: Report,
) -> list[tuple[Path, Path | None]]:
    """Pairs of input and output; None is standard output. Usage errors and clobbering are refused."""
    from vaezip.files import refuse_clobbering

    sources = list(files) or [STDIO]
    if output is not None and (len(sources) > 1 or stdout):
        raise click.UsageError("-o names the output of one input, and does not go with -c.")
    if remove and (stdout or STDIO in sources or output == STDIO):
        raise click.UsageError("--rm does not go with standard input or output.")
    pairs: list[tuple[Path, Path | None]] = []
    for source in sources:
        with report.catch():
            if stdout or output == STDIO or (output is None and source == STDIO):
                pairs.append((source, None))
            else:
                pairs.append((source, output if output is not None else name(source)))
    refuse_clobbering([s for s in sources if s != STDIO], [t for _, t in pairs if t is not None])
    return pairs
