"""What a shell's user sees of a command: on a terminal, and line by line."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from typing import Any

from conftest import Result


def ends(result: Result, code: int, stdout: bytes = b"", *words: str) -> None:
    """Exit code, standard output, and a line of standard error for each of the words."""
    lines = result.stderr.decode().splitlines()
    assert (result.returncode, result.stdout, len(lines)) == (code, stdout, len(words)), lines
    for line, word in zip(lines, words, strict=True):
        assert line.startswith("vaezip: ")
        assert word in line


def on_terminal(arguments: list[str], streams: set[str], columns: int = 0, **options: Any) -> Result:
    """Run something with some of its standard streams on a terminal; what appears there is standard output."""
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", columns and 24, columns, 0, 0))
    others = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(arguments, **(others | dict.fromkeys(streams, terminal) | options))
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # nobody holds the other end any more
        while part := os.read(keyboard, 10_000):
            shown += part
    os.close(keyboard)
    _, errors = process.communicate(timeout=600)
    return subprocess.CompletedProcess(arguments, process.returncode, shown, errors or b"")
