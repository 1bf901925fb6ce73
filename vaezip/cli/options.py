"""The part of the command line that several commands share: options, their values, and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

import vaezip
from vaezip.cli.completion import complete_dictionaries, complete_files, complete_models
from vaezip.cli.numbers import ByteSize, WholeRange
from vaezip.cli.report import Report, say
from vaezip.inputs import STDIO

if TYPE_CHECKING:
    from vaezip.known_models import ChosenModel

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(readable=False)  # checked where it is opened; a shell completes it


class _Format(click.Choice):  # type: ignore[type-arg]  # which click 8.2 does not take
    """A format's name, as a bool: true for that of messages."""

    def __init__(self) -> None:
        super().__init__(["vz", "message"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As in any click.ParamType."""
        return value if isinstance(value, bool) else super().convert(value, param, ctx) == "message"


class _Folder(click.Path):
    """A folder, which has a name; it is made where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As in any click.ParamType."""
        if value == "":
            raise click.UsageError("--output-dir needs the name of a folder; . is the current one.", ctx)
        return super().convert(value, param, ctx)


FOLDER = _Folder(file_okay=False, readable=False)


class Suffix(click.ParamType):  # type: ignore[type-arg]  # as above
    """The end of a file's name."""

    name = "suffix"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As in any click.ParamType."""
        from vaezip.naming import is_suffix

        if not is_suffix(value):
            self.fail(f"{value!r} is not the end of a file's name, such as .vz", param, ctx)
        return str(value)


class OptionWithVariable(click.Option):
    """An option that a variable may set; errors name the variable only if it has."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """As of any click.Parameter."""
        source = None if ctx is None else ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT:
            return super().get_error_hint(ctx)
        return click.Parameter.get_error_hint(self, ctx)


def typed(name: str) -> bool:
    """True if a parameter's value comes from the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """A decorator in place of several, in the order of the help."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


files_argument = click.argument("files", nargs=-1, shell_complete=complete_files)

text_input_options = _options(
    files_argument,
    click.option(
        "-r", "--recursive", is_flag=True, help="Take the files in folders, too; links are not followed."
    ),
    click.option(
        "--filelist",
        "lists",
        metavar="FILE",
        type=PATH,
        multiple=True,
        help="Take the files that FILE names, one a line; - is standard input.",
    ),
    click.option("-0", "--null", is_flag=True, help="In a file list, NUL bytes end names: find -print0."),
)

input_options = _options(
    text_input_options,
    click.option(
        "-S",
        "--suffix",
        metavar=".EXT",
        type=Suffix(),
        default=".vz",
        help="What names of compressed files end in. [default: .vz, of messages .msg]",
    ),
)

block_size_option = click.option(
    "--block-size",
    metavar="SIZE",
    type=ByteSize(1, "16M"),
    help="Bytes coded as one: larger blocks are smaller in the end, and use fewer cores. [default: 512K]",
)


def _level_options(helps: dict[int, str]) -> Callable[[F], F]:
    """-1 to -9; those that have no help are not shown."""
    return _options(
        *(
            click.option(
                f"-{level}",
                *{1: ["--fast"], 9: ["--best"]}.get(level, []),
                "level",
                flag_value=level,
                type=int,
                default=None,
                hidden=level not in helps,
                help=helps.get(level),
            )
            for level in range(1, 10)
        )
    )


level_options = _level_options(
    {
        1: "As -6; so are -2 to -5.",
        6: "The standard model, blocks of 512K: the default, unless VAEZIP_MODEL names a model.",
        7: "The large model: most texts get 4 to 6 % smaller, machines' logs hardly; less than half as fast.",
        8: "As -7, with blocks of 1M.",
        9: "As -7, with blocks of 4M: each is one core's work.",
    }
)
reading_level_options = _level_options(
    {
        1: "Of a message: by the standard model; so are -2 to -6. A .vz names its model itself.",
        7: "Of a message: by the large model; so are -8 and -9.",
    }
)

max_output_option = click.option(
    "--max-output",
    "max_output_size",
    metavar="SIZE",
    type=ByteSize(0, "16T"),
    help="Refuse a file as soon as it proves to hold more than that, such as 100M.",
)

output_options = _options(
    click.option(
        "-c",
        "--stdout",
        "--to-stdout",
        is_flag=True,
        help="Write to standard output; keeps the inputs.",
    ),
    click.option("-o", "--output", metavar="FILE", type=PATH, help="Name of the output file."),
    click.option(
        "--output-dir",
        metavar="FOLDER",
        type=FOLDER,
        help="Write outputs to that folder; with -r, below it under the paths of the inputs.",
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite files; write binary data to a terminal."),
    click.option("-k", "--keep", is_flag=True, help="Keep the inputs (the default)."),
    click.option("--rm", "remove", is_flag=True, help="Remove each input once its output is safe."),
)

model_option = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    cls=OptionWithVariable,
    type=PATH,
    shell_complete=complete_models,
    envvar="VAEZIP_MODEL",
    show_envvar=True,
    help="Model file, or the name of a model that vaezip models shows.",
)

dictionary_option = click.option(
    "-D",
    "--dictionary",
    metavar="DICTIONARY",
    type=PATH,
    shell_complete=complete_dictionaries,
    help="Dictionary of texts of the same kind, made by vaezip dict; a file that was made with one needs it.",
)

threads_option = click.option(
    "-T",
    "--threads",
    metavar="N",
    cls=OptionWithVariable,
    type=WholeRange(0, 256),
    default=0,
    envvar="VAEZIP_THREADS",
    show_envvar=True,
    help="How many blocks to work on at once; 0, the default, is one per core. All give the same files.",
)


def _overrule(other: str) -> Callable[[click.Context, click.Parameter, bool], bool]:
    """A callback for a flag that turns off another one before it."""

    def turn_off(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        if value and other in ctx.params:
            ctx.params[other] = False
        return value

    return turn_off


quiet_option = click.option(
    "-q",
    "--quiet",
    "--silent",
    is_flag=True,
    callback=_overrule("verbose"),
    help="No progress bar and no warnings.",
)
verbosity_options = _options(
    quiet_option,
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_overrule("quiet"),
        help="Say what was done with each file. Of -q and -v, the later one counts.",
    ),
)


message_options = _options(
    click.option(
        "--format",
        "message",
        type=_Format(),
        default="vz",
        show_default=True,
        help="message: a text of up to 64 KB and nothing else, not even its model's name, for channels that "
        "tell where it ends and whether it is whole; in files, NAME.msg. Both sides need the same model (or "
        "level), dictionary, --check and --armour.",
    ),
    click.option(
        "--check",
        "check_bytes",
        metavar="BYTES",
        type=WholeRange(0, 4),
        default=0,
        help="Bytes of a message's checksum, 0 to 4. [default: 0]",
    ),
    click.option(
        "--armour",
        type=click.Choice(["base64url", "base45"]),
        help="Write a message as letters: for URLs and text messages, or for QR codes.",
    ),
)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from vaezip.engine import chosen

        say(f"vaezip {vaezip.__version__} (engine: {chosen()})")
        ctx.exit()


version_option = click.Option(
    ["-V", "--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and the engine that computes.",
)


def chosen_model(model: str | None, *, takes_usual: bool = True) -> ChosenModel:
    """The model of -m, or that of VAEZIP_MODEL; the latter is usual, but no file has to be made with it.

    It is tried at once: what is wrong with it is wrong for all inputs. Raises ModelError. takes_usual: false
    where the usual model may turn out not to be needed, and is tried when it is.
    """
    from vaezip.errors import ModelError
    from vaezip.known_models import ChosenModel
    from vaezip.model import load_model

    if model is None:
        return ChosenModel()
    is_usual = click.get_current_context().get_parameter_source("model") is ParameterSource.ENVIRONMENT
    try:
        if takes_usual or not is_usual:
            load_model(model)
    except ModelError as error:
        raise ModelError(f"VAEZIP_MODEL: {error}" if is_usual else str(error)) from error
    return ChosenModel(usual=model) if is_usual else ChosenModel(given=model)


def chosen_dictionary(dictionary: str | None) -> str | None:
    """The dictionary of -D, tried at once, as a model is. Raises DictionaryError."""
    if dictionary is not None:
        from vaezip.dictionaries.dictionary import load_dictionary

        load_dictionary(dictionary)
    return dictionary


def chosen_files(model: str | None, dictionary: str | None = None, *, decoding: bool = False) -> list[str]:
    """Paths of the model and the dictionary that are read; of all at hand if any may be, to decode."""
    from vaezip.data_files import DICTIONARIES, MODELS, readable_files

    return [
        path
        for which, kind in ((model, MODELS), (dictionary, DICTIONARIES))
        if which is not None or decoding
        for path in readable_files(which, kind)
    ]


def chosen_inputs(
    report: Report,
    *,
    compressed: bool,
    files: tuple[str, ...],
    lists: tuple[str, ...],
    null: bool,
    recursive: bool,
    suffix: str | None = None,
) -> list[str | None]:
    """Paths of all inputs that `input_options` name, None for standard input; raises as `find_inputs`.

    suffix: of compressed files; None: those of all that vaezip writes.
    """
    from vaezip.inputs import find_inputs
    from vaezip.naming import OWN_SUFFIXES

    if null and not lists:
        has_levels = any(param.name == "level" for param in click.get_current_context().command.params)
        levels = "levels go from -1 to -9, and " if has_levels else ""  # -0, or -10
        raise click.UsageError(f"{levels}-0 is about the names in a --filelist.")
    if [*files, *lists].count(STDIO) > 1:
        raise click.UsageError("standard input can be read but once.")
    return find_inputs(
        files,
        compressed=compressed,
        lists=lists,
        null=null,
        recursive=recursive,
        suffixes=OWN_SUFFIXES if suffix is None else (suffix,),
        complain=report.complain,
    )


def chosen_texts(report: Report, **chosen: Any) -> list[str | None]:
    """Paths of all inputs that `text_input_options` name, likewise; tells of a terminal that is one."""
    sources = chosen_inputs(report, compressed=False, **chosen)
    if None in sources:
        report.mention_terminal_input()
    return sources
