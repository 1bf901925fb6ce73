"""`vaezip list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vaezip.cli.options import chosen_inputs, input_options, quiet_option
from vaezip.cli.report import Report, json_text, refuse_terminal_input, say
from vaezip.errors import printable

if TYPE_CHECKING:
    from vaezip.fileio import Summary

_LINE = "{:>6} {:>6} {:>12} {:>12} {:>7}  {:17} {}"


@click.command("list")
@input_options
@click.option("--json", "as_json", is_flag=True, help="List as one JSON array, for scripts.")
@quiet_option
def list_command(as_json: bool, quiet: bool, **chosen: Any) -> int:
    """Show sizes, blocks and model of FILES, without decompressing them.

    \b
    vaezip list *.vz
    vaezip list --json backup.vz

    Without FILES, or for -, standard input is read. Sizes are in bytes. A model is named if it is at hand,
    and so is a dictionary, behind a +; else the beginning of its fingerprint is shown, in hexadecimal.
    """
    from vaezip.fileio import summarise_file

    report = Report(quiet)
    rows: list[Summary] = []
    for path in chosen_inputs(report, compressed=True, **chosen):
        with report.catch(path):
            if path is None:
                refuse_terminal_input()
            rows.append(summarise_file(path))
    if as_json:
        say(json_text([row._asdict() for row in rows], indent=2))
    elif rows:
        _show(rows)
    return report.exit_code


def _show(rows: list[Summary]) -> None:
    say(_LINE.format("frames", "blocks", "compressed", "content", "ratio", "model", "name"))
    for r in rows:
        models, dictionaries = (
            ",".join(one["name"] or one["fingerprint"] for one in mentions)
            for mentions in (r.models, r.dictionaries)
        )
        names = "+".join(filter(None, (models, dictionaries)))
        _show_row(r.frames, r.blocks, r.compressed, r.content, names, r.name)
    if len(rows) > 1:
        frames, blocks = sum(r.frames for r in rows), sum(r.blocks for r in rows)
        compressed, content = sum(r.compressed for r in rows), sum(r.content for r in rows)
        _show_row(frames, blocks, compressed, content, "", f"{len(rows)} files")


def _show_row(frames: int, blocks: int, compressed: int, content: int, models: str, name: str) -> None:
    share = f"{100 * compressed / content:.1f} %" if content else "-"
    say(_LINE.format(frames, blocks, compressed, content, share, models, printable(name)))
