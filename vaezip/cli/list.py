"""`vaezip list`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vaezip.cli.common import Report, files_argument


@click.command("list")
@files_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
def list_command(files: tuple[Path, ...], as_json: bool) -> int:
    """Show sizes, blocks and model of FILES, without decompressing them."""
    from vaezip.jobs import Summary, summarise_file

    if not files:
        raise click.UsageError("list needs at least one file.")
    report = Report(quiet=False)
    rows: list[Summary] = []
    for path in files:
        with report.catch():
            rows.append(summarise_file(path))
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows], indent=2))
    elif rows:
        click.echo(f"{'frames':>6} {'blocks':>6} {'compressed':>12} {'content':>12} {'ratio':>7}  model             name")
        for r in rows:
            share = f"{100 * r.compressed / r.content:.1f} %" if r.content else "-"
            click.echo(
                f"{r.frames:6} {r.blocks:6} {r.compressed:12} {r.content:12} {share:>7}"
                f"  {r.model:16}  {r.name}"
            )
    return report.exit_code
