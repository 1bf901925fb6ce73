"""The entry point of the command line: what must hold before anything is imported that takes time.

Signals end the process without a traceback and without temporary files, from our first line on. A standard
stream that is closed gets a descriptor that refuses all work, so that no file that we open takes its place.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as that of typing: until signals are heeded, every import counts
if TYPE_CHECKING:
    from typing import NoReturn

# All signals end a process, but for these: some cannot be caught, some stop it or do nothing, some come of a
# fault in the program itself, and for two Python has the call that was at work fail instead.
_OTHERS = (
    *("SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGCHLD", "SIGCLD", "SIGURG"),
    *("SIGWINCH", "SIGINFO", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGIOT"),
    *("SIGEMT", "SIGPIPE", "SIGXFSZ"),
)


def main() -> NoReturn:
    """Run `vaezip`."""
    _run("vaezip")


def vzcat() -> NoReturn:
    """Run `vzcat`."""
    _run("vzcat")


def _run(program: str) -> NoReturn:
    _heed_signals()
    _fill_closed_streams()
    from vaezip.cli import run

    run(program)


def _heed_signals() -> None:
    _heed(signal.SIGINT)  # the one that would show a traceback until then
    for number in signal.valid_signals():
        if getattr(number, "name", "") not in _OTHERS:
            _heed(number)


def _heed(number: int) -> None:
    # What our parent has us ignore (nohup, a shell's background job) we go on to ignore.
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, _end)


def _end(number: int, frame: object) -> NoReturn:
    """Leave at once: an exception could be raised anywhere, and be lost there."""
    # The modules may be missing, or about to be imported: then there is nothing to tidy up either.
    for module, tidy_up in (("vaezip.outputs", "discard_temporaries"), ("vaezip.cli.report", "clear_bar")):
        getattr(sys.modules.get(module), tidy_up, lambda: None)()
    # Of the signal itself, or else a shell that runs a script would go on with the next command.
    if os.name == "posix":
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(128 + number)


def _fill_closed_streams() -> None:
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor, which is this one; open the wrong way round, so that using it fails.
            os.open(os.devnull, os.O_WRONLY if mode == "r" else os.O_RDONLY)
            setattr(sys, name, open(descriptor, mode, closefd=False, errors="backslashreplace"))  # noqa: SIM115


if __name__ == "__main__":
    main()
