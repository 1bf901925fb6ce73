"""What a shell offers after the tab key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    from vaezip.data_files import Kind


class _Bash(BashComplete):
    """As click's; but bash takes the = of `--option=value` for a word of its own."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is completed, and what there is of that."""
        words, incomplete = super().get_completion_args()
        before = ["", *words]
        kept = [word for last, word in zip(before, words, strict=False) if word != "=" or last[:2] != "--"]
        return kept, incomplete


class _Zsh(ZshComplete):
    """As click's; but what is found for the value of `--option=value` does not take the option's place."""

    source_template = ZshComplete.source_template.replace(
        "    for type key", "    compset -P '--*='\n    for type key"
    ).replace(" -U", ' -U -i "$IPREFIX"')  # without matching, zsh forgets what compset has set aside


class _Fish(FishComplete):
    """As click's, with that as well; and the lines that its script reads are the same with every click."""

    source_template = """\
function %(complete_func)s;
    set -l word (commandline -t);
    set -l before (string match --regex -- '^--[^=]+=' $word);
    set -lx %(complete_var)s fish_complete;
    set -lx COMP_WORDS (commandline -cp);
    set -lx COMP_CWORD $word;

    for completion in (%(prog_name)s);
        set -l found (string split --max 1 "," -- $completion);

        if test $found[1] = "dir";
            __fish_complete_directories $found[2] | string replace --regex -- '^' "$before";
        else if test $found[1] = "file";
            __fish_complete_path $found[2] | string replace --regex -- '^' "$before";
        else if test $found[1] = "plain";
            echo -- "$before$found[2]";
        end;
    end;
end;

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)";
"""

    def format_completion(self, item: CompletionItem) -> str:
        """A line for the script."""
        told = f"\t{' '.join(item.help.split())}" if item.help else ""
        return f"{item.type},{item.value}{told}"


add_completion_class(_Bash, "bash")
add_completion_class(_Zsh, "zsh")
add_completion_class(_Fish, "fish")


def anything_typed(ctx: click.Context) -> bool:
    """True if there was anything on the command line."""
    return any(
        ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        and ctx.params.get(param.name or "") != ()  # to click 8.2, no files are typed files, too
        for param in ctx.command.params
    )


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files; and commands, if there are any and nothing has been typed yet."""
    commands: Sequence[click.Command] = () if anything_typed(ctx) else getattr(ctx.command, "commands", ())
    return [
        CompletionItem(incomplete, type="file"),
        *(
            CompletionItem(command.name, help=command.get_short_help_str())
            for command in commands
            if (command.name or "").startswith(incomplete)
        ),
    ]


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, and names of models."""
    from vaezip.data_files import MODELS

    return _complete_known(MODELS, incomplete)


def complete_model_list(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models, behind those that stand there with commas between; of the first one, files as well."""
    before, comma, last = incomplete.rpartition(",")
    found = complete_models(ctx, param, last)
    return [CompletionItem(before + comma + item.value) for item in found[1:]] if comma else found


def complete_dictionaries(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Files, and names of dictionaries."""
    from vaezip.data_files import DICTIONARIES

    return _complete_known(DICTIONARIES, incomplete)


def _complete_known(kind: Kind, incomplete: str) -> list[CompletionItem]:
    from vaezip.data_files import shipped_files, user_files

    names = [name for name in (*shipped_files(kind), *user_files(kind)) if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *map(CompletionItem, names)]
