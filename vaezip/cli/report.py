"""Messages to the user: lines, errors, the progress bar."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vaezip.errors import FileError, VaezipError, printable
from vaezip.inputs import STDIO

_MOMENT = 0.25  # seconds: what is done by then needs no bar; how often a bar moves
_COLUMNS, _ROWS = 80, 24  # of a terminal that does not know, as some in containers and over serial lines
_FIGURES = 60  # columns of a bar and what is written behind it, at least


def say(text: str) -> None:
    """A line for standard output."""
    print(text)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON, which has only Unicode: beside a name that is not UTF-8 stand its bytes, as NAME_base64."""
    import json

    return json.dumps(_unicode(value), indent=indent)


def _unicode(value: Any) -> Any:
    if isinstance(value, dict):
        told = {}
        for key, one in value.items():
            told[key] = _unicode(one)
            if isinstance(one, str) and told[key] != one:
                from base64 import b64encode

                told[f"{key}_base64"] = b64encode(os.fsencode(one)).decode()
        return told
    if isinstance(value, (list, tuple)):
        return [_unicode(one) for one in value]
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return os.fsencode(value).decode("utf-8", "replace")
    return value


def complain(text: str) -> None:
    """A line for standard error; if nobody can hear it, never mind."""
    with suppress(OSError):
        print(f"vaezip: {printable(text)}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """A line for standard error on what was done."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


_bar: Any = None  # while there is one


def clear_bar() -> None:
    """Leave an empty line where the bar was; for whoever ends the process."""
    if _bar is not None:
        with suppress(OSError):
            os.write(2, b"\r\x1b[K")


class Report:
    """Tells the user how things go and what went wrong, and remembers the exit code: 1 beats 2 beats 0."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self.exit_code = 0

    @contextmanager
    def catch(self, path: str | None) -> Iterator[None]:
        """Print a VaezipError, or that memory has run out, and go on with the next file.

        path: of what is worked on, None for standard input.
        """
        try:
            yield
        except VaezipError as error:
            self.complain(error)
        except MemoryError:  # whose text, if there is any, is for programmers
            self._tell(f"{'standard input' if path is None else path}: not enough memory", 1)

    def complain(self, error: VaezipError) -> None:
        """Print what went wrong."""
        self._tell(str(error), error.exit_code)

    def warn(self, text: str) -> None:
        """Print what did not quite work."""
        self._tell(text, 2)

    def mention_terminal_input(self) -> None:
        """Tell the user that the command waits, if it is for what is typed."""
        if not self._quiet and sys.stdin.isatty():
            note("reading standard input: what is typed here, until Ctrl-D")

    def _tell(self, text: str, exit_code: int) -> None:
        if exit_code == 1 or not self._quiet:
            if _bar is not None:
                _bar.clear()
            complain(text)
        if self.exit_code != 1:
            self.exit_code = exit_code

    @contextmanager
    def progress(
        self, path: str | None, number: int, count: int, *, steps: int | None = None, shown: bool = True
    ) -> Iterator[Callable[[int], object]]:
        """A bar on standard error, if that is a terminal and there is something to wait for.

        path: of the input, None for standard input; it is the one of that number, out of so many. steps: how
        many there are to do; by default the bytes of the input. shown: false where it would be in the way.
        """
        if self._quiet or not shown or not sys.stderr.isatty():
            yield lambda _: None
            return
        from tqdm import tqdm  # a tenth of the time that a small file takes

        global _bar
        columns = (os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS) - 1
        name, room = printable(path or STDIO), min(40, max(8, columns - _FIGURES))
        name = name if len(name) <= room else "..." + name[3 - room :]
        _bar = tqdm(
            total=_file_size(path) if steps is None else steps,
            desc=name if count == 1 else f"{number}/{count} {name}",
            unit="B" if steps is None else "",
            unit_scale=True,
            leave=False,
            delay=_MOMENT,
            mininterval=_MOMENT,
            miniters=1,
            nrows=_ROWS,
            ncols=columns,
        )
        try:
            with _bar:
                yield _bar.update
        finally:
            _bar = None


def _file_size(path: str | None) -> int | None:
    """Size for the progress bar; None if it cannot be told."""
    with suppress(OSError, ValueError):
        return os.stat(path).st_size or None if path is not None else None
    return None


def mention_slow_engine(quiet: bool) -> None:
    """Tell the user where all will take a hundred times as long as it might."""
    from vaezip.engine import slow_engine_notice

    if not quiet and (notice := slow_engine_notice()):
        complain(notice)


def refuse_terminal_input() -> None:
    """Raise FileError where compressed data should come from a terminal."""
    if sys.stdin.isatty():
        raise FileError("standard input: refusing to read compressed data from a terminal")


def refuse_terminal_output(path: str | None = None) -> None:
    """Raise FileError where compressed data would go to a terminal; path: None for standard output."""
    if sys.stdout.isatty() if path is None else _is_terminal(path):
        name = "standard output" if path is None else path
        raise FileError(f"{name}: refusing to write compressed data to a terminal (-f does it)")


def _is_terminal(path: str) -> bool:
    with suppress(OSError, ValueError):
        if stat.S_ISCHR(os.stat(path).st_mode):
            descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
            try:
                return os.isatty(descriptor)
            finally:
                os.close(descriptor)
    return False
