"""The command line: parses, calls the library, shows what comes back. `run` maps errors to exit codes.

Commands import the library when they run, so that `--help` and `--version` need neither numpy nor a model.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

import vaezip
from vaezip.cli.bench import bench
from vaezip.cli.common import complain, say
from vaezip.cli.compress import compress
from vaezip.cli.decompress import decompress
from vaezip.cli.list import list_command
from vaezip.cli.models import models_command
from vaezip.cli.test import test
from vaezip.cli.train import train


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from vaezip.engine import chosen

        say(f"vaezip {vaezip.__version__} (engine: {chosen()})")
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and the engine that computes.",
)
def cli() -> None:
    """Compress text with a trained variational autoencoder, losslessly.

    \b
    vaezip compress notes.txt        writes notes.txt.vz and keeps notes.txt
    vaezip decompress notes.txt.vz   writes notes.txt
    """


for command in (compress, decompress, test, list_command, models_command, bench, train):
    cli.add_command(command)


def run() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 error, 2 warning (a file was skipped), 130 interrupted."""
    # The arrays are small: more BLAS threads than one only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in [name for name in os.environ if name.startswith("TQDM_")]:  # which may break the progress bar
        del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _outcome()
        sys.stdout.flush()
    except OSError as error:
        code = _failure(error)
    # At once: threads may be busy with blocks that nobody wants, and a stream that refused would do so again.
    os._exit(code)


def _outcome() -> int:
    """The exit code; what went wrong has been said."""
    try:
        code: Any = cli.main(prog_name="vaezip", standalone_mode=False)
    except SystemExit as leaving:
        code = leaving.code
    except click.exceptions.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 1
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_at = f" (see {context.command_path} --help)" if context else ""
        complain(error.format_message().rstrip(".") + help_at)
        return 1
    except vaezip.VaezipError as error:
        complain(str(error))
        return error.exit_code
    except MemoryError as error:
        complain(str(error) or "not enough memory")
        return 1
    except (KeyError, ValueError):
        if "_VAEZIP_COMPLETE" not in os.environ:  # where a shell asks for completions, as click wants it
            raise
        return 1
    except ImportError as error:
        complain(f"the installation is not complete: {error}")
        return 1
    return code if isinstance(code, int) else 0


def _failure(error: OSError) -> int:
    """Of standard output, if no file is named. A reader who has gone is no news to anybody."""
    if not isinstance(error, BrokenPipeError):
        complain(f"{error.filename or 'standard output: cannot write'}: {error.strerror or error}")
    return 1
