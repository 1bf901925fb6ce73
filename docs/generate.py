"""Makes docs/cli.md, man pages and completion scripts of the command line's own help.

`python docs/generate.py` writes it anew; a test holds it to what the program says.
"""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from click.testing import CliRunner

import vaezip
from vaezip.cli import cli, programs

DOCS = Path(__file__).parent
EXIT_CODES = (
    "0, done; 1, an error; 2, a warning (a file was passed over). What a signal ends is ended by the signal "
    "itself, as a shell sees by 130 after Ctrl-C."
)
ENVIRONMENT = {
    "VAEZIP_MODEL": "The model to compress with, where neither --model nor a level says which. With -d and "
    "-t it is one of those at hand, and a file may be of another.",
    "VAEZIP_THREADS": "How many blocks to work on at once, where --threads does not say.",
    "VAEZIP_MODEL_PATH": "The folders where models and dictionaries have names, instead of "
    "~/.local/share/vaezip/models.",
    "VAEZIP_ENGINE": "Who computes: the name of an engine, such as python. All give the same bytes.",
}


def generated() -> dict[Path, str]:
    """Every file that is made, and what it should hold."""
    return {
        DOCS / "cli.md": command_line_page(),
        DOCS / "man" / "vaezip.1": manual(),
        DOCS / "man" / "vzcat.1": manual_of_vzcat(),
        **{DOCS / "completion" / "bash" / name: _completion("bash", name) for name in programs},
        **{DOCS / "completion" / "zsh" / f"_{name}": _completion("zsh", name) for name in programs},
        **{DOCS / "completion" / "fish" / f"{name}.fish": _completion("fish", name) for name in programs},
    }


def command_line_page() -> str:
    """The page with the help of every command."""
    parts = [
        "# The command line\n\nWhat `vaezip --help`, `vaezip COMMAND --help` and `vzcat --help` print.\n"
    ]
    for program, *words in [["vaezip"], *(["vaezip", name] for name in sorted(cli.commands)), ["vzcat"]]:
        call = CliRunner().invoke(
            programs[program], [*words, "--help"], prog_name=program, max_content_width=100
        )
        parts.append(f"## {' '.join([program, *words])}\n\n```text\n{call.output}```\n")
    variables = (
        textwrap.fill(f"- `{name}`: {text}", 120, subsequent_indent="  ", break_on_hyphens=False)
        for name, text in ENVIRONMENT.items()
    )
    parts.append("\n".join(["## Environment\n", *variables, ""]))
    parts.append(f"## Exit codes\n\n{EXIT_CODES}\n")
    return "\n".join(parts)


def _completion(shell: str, name: str) -> str:
    found = get_completion_class(shell)
    assert found is not None
    script = found(programs[name], {}, name, f"_{name.upper()}_COMPLETE")
    return script.source_template % script.source_vars()


def manual() -> str:
    """vaezip(1), in the macros of man(7)."""
    face = click.Context(cli.face, info_name="vaezip")
    own = _options(face, cli.face)
    lines = [
        f'.TH VAEZIP 1 "" "vaezip {vaezip.__version__}" "User Commands"',
        *(".SH NAME", r"vaezip \- compress text losslessly with a trained model"),
        *(".SH SYNOPSIS", r".B vaezip", "[OPTIONS] [FILES]...", ".br"),
        *(".B vaezip", "COMMAND [OPTIONS] ..."),
        *(".SH DESCRIPTION", *_paragraphs(cli.face.help or "")),
        *(".SH OPTIONS", *itertools.chain(*own)),
        *(".SH COMMANDS", r"Options that \fBvaezip\fR itself has mean the same and are not repeated."),
    ]
    for name, command in sorted(cli.commands.items()):
        ctx = click.Context(command, info_name=name, parent=face)
        usage = " ".join(command.collect_usage_pieces(ctx))
        lines += [f".SS {_roff(f'vaezip {name} {usage}')}", *_paragraphs(command.help or "")]
        lines += itertools.chain(*(option for option in _options(ctx, command) if option not in own))
    return "\n".join([*lines, *_ending("vzcat", "gzip", "tar", "xz", "zstd")]) + "\n"


def manual_of_vzcat() -> str:
    """vzcat(1), likewise."""
    command = programs["vzcat"]
    lines = [
        f'.TH VZCAT 1 "" "vaezip {vaezip.__version__}" "User Commands"',
        *(".SH NAME", r"vzcat \- show what vaezip has compressed"),
        *(".SH SYNOPSIS", r".B vzcat", "[OPTIONS] [FILES]..."),
        *(".SH DESCRIPTION", *_paragraphs(command.help or "")),
        *(".SH OPTIONS", *itertools.chain(*_options(click.Context(command, info_name="vzcat"), command))),
    ]
    return "\n".join([*lines, *_ending("vaezip", "zcat")]) + "\n"


def _ending(*others: str) -> Iterator[str]:
    """The last sections of a page."""
    yield ".SH ENVIRONMENT"
    for name, text in ENVIRONMENT.items():
        yield from (".TP", f".B {name}", _roff(text))
    yield from (".SH EXIT STATUS", _roff(EXIT_CODES), ".SH SEE ALSO")
    for name in others:
        yield f".BR {name} (1){',' if name != others[-1] else ''}"


def _paragraphs(text: str) -> Iterator[str]:
    """Text as click has it, where \\b keeps the lines of a paragraph."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        if number:
            yield ".PP"
        lines = paragraph.split("\n")
        if lines[0] == "\b":
            yield from (".nf", *map(_roff, lines[1:]), ".fi")
        else:
            yield _roff(" ".join(lines))


def _options(ctx: click.Context, command: click.Command) -> list[tuple[str, str, str]]:
    """The lines of each option."""
    options = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None:
            names = re.sub(r"(^|, )(-[^ ,]+)", r"\1<\2>", record[0])  # which leaves what the value is called
            names = re.sub(r"> (.+)", r"> \\fI\1\\fR", _roff(names))
            options.append((".TP", names.replace("<", r"\fB").replace(">", r"\fR"), _roff(record[1])))
    return options


def _roff(text: str) -> str:
    """Text in which nothing is taken for a request or a hyphen."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return rf"\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
