"""`vaezip pack`, `vaezip get` and `vaezip unpack`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from vaezip.cli.numbers import ByteSize, WholeRange
from vaezip.cli.options import (
    FOLDER,
    PATH,
    chosen_dictionary,
    chosen_files,
    chosen_model,
    chosen_texts,
    dictionary_option,
    max_output_option,
    model_option,
    text_input_options,
)
from vaezip.cli.report import Report, mention_slow_engine, note, refuse_terminal_output
from vaezip.errors import SkippedError, VaezipError
from vaezip.inputs import STDIO

if TYPE_CHECKING:
    from vaezip.pack.fileio import Packed

_NO_OPTION = "\0"  # before what looks like one; arguments never hold it
_ENDS = {"lines": 10, "nul": 0, "files": None}


@click.command()
@text_input_options
@click.option("-o", "--output", metavar="PACK", type=PATH, required=True, help="The pack, as in logs.vzp.")
@click.option(
    "--records",
    type=click.Choice(list(_ENDS)),
    default="lines",
    show_default=True,
    help="What a record is: a line, what ends with a NUL, or a file, whose name it keeps.",
)
@click.option("--append", is_flag=True, help="Add to the pack that is there.")
@click.option("--unordered", is_flag=True, help="Do not keep the order of the records, nor its bits.")
@click.option(
    "--group",
    metavar="N",
    type=WholeRange(1, 1024),
    default=1,
    show_default=True,
    help="Code so many records together: smaller, and each takes as long to read as all of them.",
)
@click.option(
    "--dictionary-size",
    metavar="SIZE",
    type=ByteSize(0, "256K"),
    help="Text of the dictionary that the pack makes for itself. [default: an eighth of all, up to 32K]",
)
@model_option
@dictionary_option
@click.option("-f", "--force", is_flag=True, help="Overwrite the output.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def pack(
    output: str,
    records: str,
    append: bool,
    unordered: bool,
    group: int,
    dictionary_size: int | None,
    model: str | None,
    dictionary: str | None,
    force: bool,
    quiet: bool,
    **chosen: Any,
) -> int:
    """Pack the records of FILES into one file, in which each can be read alone.

    \b
    vaezip pack -o users.vzp users.jsonl    every line is a record
    vaezip get users.vzp 12345              prints record 12345, counted from 0
    vaezip unpack users.vzp > users.jsonl   all of them
    vaezip pack --records files -r -o notes.vzp notes
    vaezip get notes.vzp notes/today.txt    a record that was a file has its name

    Without FILES, or for -, standard input is read. In folders (-r), files that end in .vz, .vzp, .vzd or
    .vzm are passed over. A record has 64 KB at most. Memory holds all of them.
    """
    from vaezip.naming import Guard
    from vaezip.pack.fileio import Packing, pack_files

    if append and (unordered or group != 1 or dictionary_size is not None):
        raise click.UsageError("what --append adds to has its own order, group and dictionary.")
    if unordered and group != 1:
        raise click.UsageError("--unordered codes all records together, so that there is no --group.")
    if dictionary is not None and dictionary_size is not None:
        raise click.UsageError("-D names a dictionary, so that --dictionary-size has none to make.")
    if output == STDIO:
        raise click.UsageError("-o needs the name of a file: a pack is read from anywhere.")
    report = Report(quiet)
    sources = chosen_texts(report, **chosen)
    if not sources:
        return report.exit_code
    mention_slow_engine(quiet)
    chosen_one = chosen_model(model, takes_usual=not append)
    how = Packing(chosen_one, dictionary, dictionary_size, group, unordered, _ENDS[records], append, force)
    with report.catch(output):
        if not force:
            refuse_terminal_output(output)
        inputs = [*sources, *chosen["lists"], *chosen_files(model, dictionary, decoding=append)]
        Guard(path for path in inputs if path is not None).check(output)
        packed = pack_files(
            sources,
            output,
            how,
            _Skipping(report, output, len(sources)),
            lambda count: report.progress(output, 1, 1, steps=count),
        )
        if not quiet:
            note(f"{output}: {_summary(packed, append)}")
    return report.exit_code


def _summary(packed: Packed, append: bool) -> str:
    what = f"{packed.records} records, {packed.read}"
    if append:
        return f"{what} bytes, added; {packed.written} bytes in all"
    return f"{what} -> {packed.written} bytes"


class _Skipping:
    """Complains of what is passed over, until nothing is left."""

    def __init__(self, report: Report, output: str, inputs: int) -> None:
        self._report, self._output, self._left = report, output, inputs

    def __call__(self, error: VaezipError) -> None:
        self._report.complain(error)
        self._left -= 1
        if not self._left:
            raise SkippedError(f"{self._output}: not written, since there is nothing to pack")


class _Get(click.Command):
    """A command to which numbers below zero are no options."""

    def make_parser(self, ctx: click.Context) -> Any:
        """As of any command; such numbers are hidden from the parser."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args
        parser.parse_args = lambda args: _shown(parse(_hidden(args)))
        return parser


def _hidden(args: list[str]) -> list[str]:
    return [_NO_OPTION + one if re.fullmatch("-0*[1-9][0-9]*", one) else one for one in args]


def _shown(parsed: Any) -> Any:
    """Inverse of `_hidden`, in all that a parser returns."""
    if isinstance(parsed, str):
        return parsed.removeprefix(_NO_OPTION)
    if isinstance(parsed, dict):
        return {name: _shown(value) for name, value in parsed.items()}
    return type(parsed)(map(_shown, parsed)) if isinstance(parsed, (list, tuple)) else parsed


@click.command(cls=_Get)
@click.argument("file", type=PATH, metavar="PACK")
@click.argument("records", nargs=-1, metavar="RECORD...")
@click.option("--names", is_flag=True, help="Print the names of all records, one a line.")
@click.option("-0", "--null", is_flag=True, help="NUL bytes end names, not newlines: xargs -0.")
@model_option
@dictionary_option
def get(
    file: str,
    records: tuple[str, ...],
    names: bool,
    null: bool,
    model: str | None,
    dictionary: str | None,
) -> int:
    """Print records of a pack: by number, counted from 0, -1 being the last; or by name, if they were files.

    \b
    vaezip get users.vzp 0 12345 -1
    vaezip get notes.vzp notes/today.txt
    vaezip get notes.vzp --names

    A name goes before a number: 0 is the file of that name, if there was one. What begins with a - and is no
    number has to stand behind a --.
    """
    from vaezip.byteio import ByteWriter
    from vaezip.pack.fileio import Reading, get_names, get_records

    if names == bool(records):
        raise click.UsageError("say which records are wanted, or --names.")
    if null and not names:
        raise click.UsageError("-0 goes with --names.")
    report = Report(quiet=False)
    mention_slow_engine(quiet=False)
    with report.catch(file):
        how = Reading(chosen_model(model, takes_usual=False), chosen_dictionary(dictionary))
        writer = ByteWriter(sys.stdout.buffer)
        found = get_names(file, b"\0" if null else b"\n", how) if names else get_records(file, records, how)
        for record in found:
            writer.write(record)
        sys.stdout.flush()
    return report.exit_code


@click.command()
@click.argument("file", type=PATH, metavar="PACK")
@click.option("-o", "--output", metavar="FILE", type=PATH, help="Where to; by default, standard output.")
@click.option(
    "--output-dir",
    metavar="FOLDER",
    type=FOLDER,
    help="Where to, for records that were files; each gets its name there.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite files.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@max_output_option
@model_option
@dictionary_option
def unpack(
    file: str,
    output: str | None,
    output_dir: str | None,
    force: bool,
    quiet: bool,
    max_output_size: int | None,
    model: str | None,
    dictionary: str | None,
) -> int:
    """Write all records of a pack, as they were.

    \b
    vaezip unpack users.vzp > users.jsonl
    vaezip unpack notes.vzp --output-dir there
    """
    from vaezip.pack.fileio import Reading, unpack_file

    if output is not None and output_dir is not None:
        raise click.UsageError("-o is for one file, --output-dir for many.")
    report = Report(quiet)
    mention_slow_engine(quiet)
    with report.catch(file):
        target = None if output in (None, STDIO) else output
        chosen = chosen_model(model, takes_usual=False)
        how = Reading(chosen, chosen_dictionary(dictionary), max_output_size)
        unpack_file(
            file,
            target,
            output_dir,
            force,
            how,
            report.complain,
            lambda count: report.progress(
                file, 1, 1, steps=count, shown=target is not None or output_dir is not None
            ),
            chosen_files(model, dictionary, decoding=True),
        )
    return report.exit_code
