"""`vaezip list`."""

from __future__ import annotations

import json
from typing import Any

import click

from vaezip.cli.options import chosen_inputs, input_options
from vaezip.cli.report import Report, say
from vaezip.errors import printable


@click.command("list")
@input_options
@click.option("--json", "as_json", is_flag=True, help="List as one JSON array, for scripts.")
def list_command(as_json: bool, **chosen: Any) -> int:
    """Show sizes, blocks and model of FILES, without decompressing them."""
    from vaezip.jobs import Summary, summarise_file

    if not (chosen["files"] or chosen["lists"]):
        raise click.UsageError("list needs at least one file.")
    report = Report(quiet=False)
    rows: list[Summary] = []
    for path in chosen_inputs(report, compressed=True, **chosen):
        with report.catch():
            rows.append(summarise_file(path))
    if as_json:
        say(json.dumps([row._asdict() for row in rows], indent=2))
    elif rows:
        line = "{:>6} {:>6} {:>12} {:>12} {:>7}  {:16}  {}"
        say(line.format("frames", "blocks", "compressed", "content", "ratio", "model", "name"))
        for r in rows:
            share = f"{100 * r.compressed / r.content:.1f} %" if r.content else "-"
            say(line.format(r.frames, r.blocks, r.compressed, r.content, share, r.model, printable(r.name)))
    return report.exit_code
