"""`vaezip` as gzip and zstd are called: what is to be done is said by an option, not by a command."""

from __future__ import annotations

import sys
from typing import Any

import click

from vaezip.cli.bench import bench
from vaezip.cli.completion import anything_typed
from vaezip.cli.compress import compress
from vaezip.cli.decompress import decompress
from vaezip.cli.dictionary import dict_command
from vaezip.cli.list import list_command
from vaezip.cli.map import map_command
from vaezip.cli.models import models_command
from vaezip.cli.options import typed, version_option
from vaezip.cli.pack import get, pack, unpack
from vaezip.cli.plot import plot
from vaezip.cli.report import say
from vaezip.cli.sample import sample
from vaezip.cli.show import show
from vaezip.cli.test import test
from vaezip.cli.train import train

_MODES = {"compress": compress, "decompress": decompress, "test": test, "list": list_command}
_COMMANDS = (
    *_MODES.values(),
    models_command,
    dict_command,
    pack,
    get,
    unpack,
    show,
    map_command,
    sample,
    bench,
    train,
    plot,
)
_TRANSFORM = ("compress", "decompress")
_HEEDED = {  # options that nobody wants to see ignored, and where they are not; others may stand anywhere
    "output": ("-o", _TRANSFORM),
    "output_dir": ("--output-dir", _TRANSFORM),
    "remove": ("--rm", _TRANSFORM),
    "message": ("--format message", _TRANSFORM),
    "check_bytes": ("--check", _TRANSFORM),
    "armour": ("--armour", _TRANSFORM),
    "max_output_size": ("--max-output", ("decompress", "test")),
    "as_json": ("--json", ("list",)),
}


def _mode_option(*names: str, help: str) -> click.Option:
    return click.Option([*names, "mode"], flag_value=names[1][2:], help=help)


class Face(click.Command):
    """The options of several commands, the very same objects, and one to choose among these."""

    commands = _COMMANDS

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, and then the commands."""
        super().format_options(ctx, formatter)
        room = formatter.width - max(len(command.name or "") for command in self.commands) - 6
        with formatter.section("Commands"):
            formatter.write_dl(
                [(command.name or "", command.get_short_help_str(room)) for command in self.commands]
            )


def _act(mode: str | None, **options: Any) -> int:
    """Do what the command for `mode` does; by default, compress."""
    ctx = click.get_current_context()
    if not anything_typed(ctx) and sys.stdin.isatty() and sys.stdout.isatty():
        say(ctx.get_help())
        return 0
    mode = mode or "compress"
    for name, (option, modes) in _HEEDED.items():
        if mode not in modes and typed(name) and options[name] is not False:
            others = " and ".join(f"--{mode}" for mode in modes)
            raise click.UsageError(f"{option} does not go with --{mode}, but with {others}.")
    command = _MODES[mode]
    act: Any = command.callback
    code: int = act(**{param.name: options[param.name or ""] for param in command.params})
    return code


_HELP = """Compress FILES losslessly with a trained variational autoencoder; decompress, test or list them.

\b
vaezip notes.txt         writes notes.txt.vz and keeps notes.txt
vaezip -d notes.txt.vz   writes notes.txt
vzcat notes.txt.vz       shows notes.txt (as vaezip -dc does)

Without FILES, or for -, standard input is read and standard output written. Options may stand anywhere; the
last of -z, -d, -t and -l counts. A first word that names a command runs that: vaezip COMMAND --help describes
it, and a file of that name is ./test, say, or comes after --.
"""

_shared: dict[tuple[str, ...], click.Parameter] = {}  # as they are in the first command that has them
for _command in _MODES.values():
    for _param in _command.params:
        _shared.setdefault(tuple(_param.opts), _param)

face = Face(
    "vaezip",
    params=[
        _mode_option("-z", "--compress", help="Compress (the default)."),
        _mode_option("-d", "--decompress", "--uncompress", help="Decompress."),
        _mode_option("-t", "--test", help="Check compressed files, writing nothing."),
        _mode_option("-l", "--list", help="Show sizes, blocks and model of compressed files."),
        *_shared.values(),
        click.Option(
            ["-n", "--no-name"],
            is_flag=True,
            expose_value=False,
            help="Accepted as from gzip: names and times are never stored.",
        ),
        version_option,
    ],
    callback=_act,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
