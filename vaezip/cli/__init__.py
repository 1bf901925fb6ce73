"""The command line: parses, calls the library, shows what comes back. `run` maps errors to exit codes.

Commands import the library when they run, so that `--help` and `--version` need neither numpy nor a model.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

import vaezip
from vaezip.cli.face import Face, face
from vaezip.cli.report import complain
from vaezip.cli.vzcat import vzcat

_ALIKE = 0.75  # of 1: a word with a letter too many, too few or wrong, or two that have changed places


class Program(click.Group):
    """Commands, and a face for everything that does not begin with the name of one."""

    def __init__(self, face: Face) -> None:
        super().__init__(commands=face.commands, context_settings=face.context_settings)
        self.face = face

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As of any command: parses."""
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        if args and not extra.get("resilient_parsing"):  # which is for completing what is being typed
            self._refuse_misspelt(args[0])
        return self.face.make_context(info_name, args, parent, **extra)

    def _refuse_misspelt(self, word: str) -> None:
        """Raise UsageError for what is no file, and like a command, whose arguments may follow."""
        if word.isalpha() and not os.path.lexists(word):
            from difflib import get_close_matches  # which takes as long to import as all of this

            for command in get_close_matches(word.lower(), self.commands, 1, _ALIKE):
                raise click.UsageError(
                    f"there is no file or command {word!r}; did you mean {command}? (see vaezip --help)"
                )

    def invoke(self, ctx: click.Context) -> Any:
        """As of any command: runs what was parsed."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


cli = Program(face)
programs: dict[str, click.Command] = {"vaezip": cli, "vzcat": vzcat}


def run(program: str) -> NoReturn:
    """Run a command line. Exit codes: 0 done, 1 error, 2 warning (a file was skipped)."""
    # The arrays are small: more BLAS threads than one only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in [name for name in os.environ if name.startswith("TQDM_")]:  # which may break the progress bar
        del os.environ[name]
    os.environ.pop("MPLBACKEND", None)  # which is about windows, and may name none that is there
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _outcome(program, sys.argv[1:])
        sys.stdout.flush()
    except OSError as error:
        code = _failure(error)
    # At once: threads may be busy with blocks that nobody wants, and a stream that refused would do so again.
    os._exit(code)


def _outcome(program: str, arguments: list[str]) -> int:
    """The exit code; what went wrong has been said."""
    stdout = sys.stdout
    try:
        code: Any = programs[program].main(arguments, prog_name=program, standalone_mode=False)
    except SystemExit as leaving:
        if sys.stdout is not stdout:  # click's way with a broken pipe, of which it says no more
            raise BrokenPipeError from None
        code = leaving.code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_at = f" (see {context.command_path} --help)" if context else ""
        complain(error.format_message().rstrip(".") + help_at)
        return 1
    except vaezip.VaezipError as error:
        complain(str(error))
        return error.exit_code
    except MemoryError:
        complain("not enough memory")
        return 1
    except (KeyError, ValueError):
        if (
            f"_{program.upper()}_COMPLETE" not in os.environ
        ):  # where a shell asks for completions, as click wants it
            raise
        return 1
    except ImportError as error:
        complain(f"the installation is not complete: {error}")
        return 1
    return code if isinstance(code, int) else 0


def _failure(error: OSError) -> int:
    """Complain of an error, of standard output if it names no file; but not if a reader has just gone.

    That ends us by the signal, as it does others: Python ignores it, so that all could be put in order.
    """
    if not isinstance(error, BrokenPipeError):
        complain(f"{error.filename or 'standard output: cannot write'}: {error.strerror or error}")
    elif sys.platform != "win32":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
    return 1
