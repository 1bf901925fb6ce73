"""Where the command line starts: what must hold before anything is imported that takes time.

Signals end the process without a traceback and without temporary files, from the first moment on. A standard
stream that is closed gets a descriptor that refuses all work, so that no file that we open takes its place.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

_ENDING = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")


def main() -> NoReturn:
    """Run the command line."""
    _heed_signals()
    _fill_closed_streams()
    from vaezip.cli import run

    run()


def _heed_signals() -> None:
    for name in _ENDING:
        number = getattr(signal, name, None)
        # What our parent has us ignore (nohup, a shell's background job) we go on to ignore.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: object) -> NoReturn:
    """Leave at once: an exception could be raised anywhere, and be lost there."""
    # The module may be missing, or about to be imported: then there are no temporary files either.
    getattr(sys.modules.get("vaezip.publish"), "discard_temporaries", lambda: None)()
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
