"""`vaezip pack`, `vaezip get` and `vaezip unpack`."""

from __future__ import annotations

import sys

import click

from vaezip.cli.numbers import WholeRange
from vaezip.cli.options import (
    PATH,
    ByteSize,
    chosen_inputs,
    chosen_model,
    dictionary_option,
    input_options,
    max_output_option,
    model_option,
)
from vaezip.cli.report import STDIO, Report, note

_ENDS = {"lines": 10, "nul": 0, "files": None}


@click.command()
@input_options
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
    **chosen: object,
) -> int:
    """Pack the records of FILES into one file, in which each can be read alone.

    \b
    vaezip pack -o users.vzp users.jsonl    every line is a record
    vaezip get users.vzp 12345              prints record 12345, counted from 0
    vaezip unpack users.vzp > users.jsonl   all of them
    vaezip pack --records files -r -o notes.vzp notes
    vaezip get notes.vzp notes/today.txt    a record that was a file has its name

    A record has 64 KB at most. Memory holds all of them.
    """
    from vaezip.naming import Guard
    from vaezip.pack.fileio import Packing, pack_files

    if append and (unordered or group != 1 or dictionary_size is not None):
        raise click.UsageError("what --append adds to has its own order, group and dictionary.")
    if dictionary is not None and dictionary_size is not None:
        raise click.UsageError("-D names a dictionary, so that --dictionary-size has none to make.")
    if output == STDIO:
        raise click.UsageError("-o needs the name of a file: a pack is read from anywhere.")
    report = Report(quiet)
    sources = chosen_inputs(report, compressed=None, **chosen)  # type: ignore[arg-type]
    how = Packing(
        *chosen_model(model, takes_usual=not append),
        dictionary,
        dictionary_size,
        group,
        unordered,
        _ENDS[records],
        append,
        force,
    )
    with report.catch(output):
        Guard(path for path in [*sources, model, dictionary] if path is not None).check(output)
        packed = pack_files(
            sources, output, how, report.complain, lambda count: report.progress(output, 1, 1, steps=count)
        )
        if not quiet:
            what = f"{packed.records} records, {packed.read}"
            if append:
                note(f"{output}: {what} bytes, added; {packed.written} bytes in all")
            else:
                note(f"{output}: {what} -> {packed.written} bytes")
    return report.exit_code


@click.command()
@click.argument("file", type=PATH, metavar="PACK")
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@model_option
@dictionary_option
def get(file: str, records: tuple[str, ...], model: str | None, dictionary: str | None) -> int:
    """Print records of a pack: by number, counted from 0, -1 being the last; or by name, if they were files.

    \b
    vaezip get users.vzp 0 12345 -- -1
    vaezip get notes.vzp notes/today.txt
    """
    from vaezip.byteio import ByteWriter
    from vaezip.pack.fileio import Reading, get_records

    report = Report(quiet=False)
    with report.catch(file):
        how = Reading(*chosen_model(model, takes_usual=False), dictionary)
        writer = ByteWriter(sys.stdout.buffer)
        for record in get_records(file, records, how):
            writer.write(record)
        sys.stdout.flush()
    return report.exit_code


@click.command()
@click.argument("file", type=PATH, metavar="PACK")
@click.option("-o", "--output", metavar="FILE", type=PATH, help="Where to; by default, standard output.")
@click.option(
    "--output-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, readable=False),
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
    from vaezip.naming import Guard
    from vaezip.pack.fileio import Reading, unpack_file

    if output is not None and output_dir is not None:
        raise click.UsageError("-o is for one file, --output-dir for many.")
    report = Report(quiet)
    with report.catch(file):
        target = None if output in (None, STDIO) else output
        if target is not None:
            Guard([file]).check(target)
        how = Reading(*chosen_model(model, takes_usual=False), dictionary, max_output_size)
        unpack_file(
            file, target, output_dir, force, how, lambda count: report.progress(file, 1, 1, steps=count)
        )
    return report.exit_code
