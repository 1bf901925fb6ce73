"""The common part of `vaezip compress` and `vaezip decompress`: all but the direction."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from vaezip.cli.options import (
    chosen_dictionary,
    chosen_files,
    chosen_inputs,
    chosen_model,
    dictionary_option,
    input_options,
    message_options,
    model_option,
    output_options,
    threads_option,
    verbosity_options,
)
from vaezip.cli.report import (
    Report,
    mention_slow_engine,
    note,
    refuse_terminal_input,
    refuse_terminal_output,
)
from vaezip.inputs import STDIO

if TYPE_CHECKING:
    from vaezip.fileio import Target
    from vaezip.stream import Sizes

F = TypeVar("F", bound=Callable[..., Any])


def transform_options(command: F) -> F:
    """FILES and all options that do not depend on the direction."""
    for options in (
        verbosity_options,
        message_options,
        threads_option,
        dictionary_option,
        model_option,
        output_options,
        input_options,
    ):
        command = options(command)
    return command


def transform(
    compressing: bool,
    *,
    stdout: bool,
    output: str | None,
    output_dir: str | None,
    force: bool,
    keep: bool,
    remove: bool,
    model: str | None,
    dictionary: str | None,
    threads: int,
    quiet: bool,
    verbose: bool,
    block_size: int | None = None,
    level: int | None = None,
    max_output_size: int | None = None,
    message: bool = False,
    check_bytes: int = 0,
    armour: str | None = None,
    **chosen: Any,
) -> int:
    """Compress or decompress every input; returns the exit code.

    chosen: what `input_options` give.
    """
    from vaezip import fileio
    from vaezip.levels import LEVELS
    from vaezip.naming import MESSAGE_SUFFIX, Guard, Naming

    if (check_bytes or armour) and not message:
        raise click.UsageError("--check and --armour are for --format message.")
    report = Report(quiet)
    if message and _is_default("suffix"):
        chosen["suffix"] = MESSAGE_SUFFIX
    naming = Naming(suffix=chosen["suffix"], folder=output_dir, mirror=chosen["recursive"])
    act, name = (
        (fileio.compress_file, naming.compressed)
        if compressing
        else (fileio.decompress_file, naming.decompressed)
    )
    sources = chosen_inputs(report, compressed=not compressing, **chosen)
    many = chosen["recursive"] or chosen["lists"] or len(chosen["files"]) > 1
    _refuse_contradictions(
        sources,
        many=bool(many),
        stdout=stdout,
        output=output,
        output_dir=output_dir,
        keep=keep,
        remove=remove,
    )
    if message and compressing and len(sources) > 1 and (stdout or output == STDIO):
        raise click.UsageError("several messages need several outputs: one after the other, they are none.")
    mention_slow_engine(quiet)
    options = fileio.Options(
        model=chosen_model(model, takes_usual=level is None and (compressing or message)),
        dictionary=chosen_dictionary(dictionary),
        message=fileio.MessageFormat(check_bytes, armour) if message else None,
        threads=threads,
        max_output_size=max_output_size,
        overwrite=force,
        remove=remove,
        warn=report.warn,
    )
    if level is not None and (compressing or message):
        options = options.at(LEVELS[level])
    if block_size is not None:
        options = dataclasses.replace(options, block_size=block_size)
    read = [
        path
        for path in sources
        if path is not None
        and (stdout or output is not None or not naming.passes_over(path, compressing=compressing))
    ]
    guard = Guard([*read, *chosen["lists"], *chosen_files(model, dictionary, decoding=not compressing)])
    for number, source in enumerate(sources, 1):
        with report.catch(source):
            target = _target(source, name, stdout=stdout, output=output, make_folders=output_dir is not None)
            if target is not None:
                guard.check(target.path)
            if compressing and not force and armour is None:
                refuse_terminal_output(None if target is None else target.path)
            if source is None and not compressing:
                refuse_terminal_input()
            shown = target is not None or (verbose and not sys.stdout.isatty())
            with report.progress(source, number, len(sources), shown=shown) as tick:
                sizes = act(source, target, options, tick)
            if target is not None:
                guard.add(target.path, source or STDIO)
            if verbose:
                note(f"{source or STDIO}: {_summary(compressing, sizes)}")
    return report.exit_code


def _is_default(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is ParameterSource.DEFAULT


def _target(
    source: str | None,
    name: Callable[[str], str],
    *,
    stdout: bool,
    output: str | None,
    make_folders: bool,
) -> Target | None:
    """The target of an input's output; None: standard output."""
    from vaezip.fileio import Target

    if output is not None:
        return None if output == STDIO else Target(output, named=True)
    return None if source is None or stdout else Target(name(source), named=False, make_folders=make_folders)


def _summary(compressing: bool, sizes: Sizes) -> str:
    text, coded = (sizes.read, sizes.written) if compressing else (sizes.written, sizes.read)
    ratio = f" ({100 * coded / text:.1f} %, {8 * coded / text:.3f} bits/byte)" if text else ""
    return f"{sizes.read} -> {sizes.written} bytes{ratio}"


def _refuse_contradictions(
    sources: Sequence[str | None],
    *,
    many: bool,
    stdout: bool,
    output: str | None,
    output_dir: str | None,
    keep: bool,
    remove: bool,
) -> None:
    if output is not None and (many or stdout or output_dir is not None):
        raise click.UsageError("-o names the output of one input, and does not go with -c or --output-dir.")
    if remove and keep:
        raise click.UsageError("-k and --rm contradict each other.")
    for given, option in ((remove, "--rm"), (output_dir is not None, "--output-dir")):
        if given and (stdout or output == STDIO or None in sources):
            raise click.UsageError(f"{option} does not go with standard input or output.")
