"""The command line: parses, calls the library, shows what comes back. `main` maps errors to exit codes.

Commands import the library when they run, so that `--help` and `--version` need neither numpy nor a model.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any, NoReturn

import click

import vaezip
from vaezip.cli.bench import bench
from vaezip.cli.compress import compress
from vaezip.cli.decompress import decompress
from vaezip.cli.list import list_command
from vaezip.cli.test import test
from vaezip.cli.train import train


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from vaezip.engine import chosen

        click.echo(f"vaezip {vaezip.__version__} (engine: {chosen()})")
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


for command in (compress, decompress, test, list_command, bench, train):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 error, 2 warning (a file was skipped), 130 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    # The arrays are small: more BLAS threads than one only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = _run()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    if code and threading.active_count() > 1:  # busy with blocks that nobody wants any more
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        code: Any = cli.main(prog_name="vaezip", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return 1
    except vaezip.VaezipError as error:
        click.echo(f"vaezip: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _terminate(number: int, frame: object) -> NoReturn:
    """Leave by way of every `finally`, so that temporary files are removed."""
    sys.exit(128 + number)
