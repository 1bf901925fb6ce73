"""`vaezip map`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vaezip.cli.numbers import ByteSize
from vaezip.cli.options import (
    PATH,
    chosen_files,
    chosen_model,
    files_argument,
    model_option,
    threads_option,
)
from vaezip.cli.report import Report, json_text, mention_slow_engine, say
from vaezip.errors import printable
from vaezip.inputs import STDIO

if TYPE_CHECKING:
    from vaezip.map.atlas import Atlas
    from vaezip.map.fileio import Excerpt, Found, MapOptions

_LINE = "{:>8} {:>5}  {:24} {}"


@click.command("map")
@files_argument
@click.option("--nearest", metavar="FILE", type=PATH, help="List the others by how far they are from FILE.")
@click.option("--svg", metavar="PICTURE", type=PATH, help="Draw a map and the tree; - is standard output.")
@click.option(
    "--html",
    metavar="PAGE",
    type=PATH,
    help="The same for the browser, where the pointer shows a file's latent and neighbours.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the picture or page.")
@click.option("--json", "as_json", is_flag=True, help="Distances, latents and tree, for scripts.")
@click.option(
    "--sample-size",
    metavar="SIZE",
    type=ByteSize(64, "1M"),
    default="4K",
    show_default=True,
    help="How much is read of each file.",
)
@model_option
@threads_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no warnings.")
def map_command(
    files: tuple[str, ...],
    nearest: str | None,
    svg: str | None,
    html: str | None,
    force: bool,
    as_json: bool,
    sample_size: int,
    model: str | None,
    threads: int,
    quiet: bool,
) -> int:
    """Show which of FILES are alike, by how well each predicts the others; of folders, all files in them.

    \b
    vaezip map letters                         a tree: like stands beside like
    vaezip map --html letters.html letters     a map for the browser
    vaezip map --nearest draft.txt letters | head

    Two files are near if each takes fewer bits after the other has been read. A distance of 0 means that each
    says all about the other, 1 that it says nothing. Each file is compared with each, so twice as many take
    four times as long. In the picture, each folder below those that are named has a colour.
    """
    if sum(given is not None for given in (nearest, svg, html)) + (as_json and nearest is None) > 1:
        raise click.UsageError("of --svg, --html, --json and --nearest, give one, or --nearest --json.")
    if not files:
        raise click.UsageError("name files, or folders with files, to compare.")
    if [*files, nearest].count(STDIO) > 1:
        raise click.UsageError("standard input can be read but once.")
    from vaezip.byteio import ByteWriter
    from vaezip.map.fileio import MapOptions, find_files, other_files
    from vaezip.model import load_model
    from vaezip.outputs import open_output

    report = Report(quiet)
    mention_slow_engine(quiet)
    options = MapOptions(load_model(chosen_model(model).to_write), sample_size, threads)
    found = find_files(files, report.complain)
    if nearest is not None:
        _show_nearest(nearest, other_files(nearest, found), options, report, as_json)
        return report.exit_code
    output = html if svg is None else svg
    texts = _read(found, options, report)
    if output is not None and texts:
        target = None if output == STDIO else output
        inputs = [*(file.path for file in found), *chosen_files(model)]
        with open_output(target, inputs=inputs, overwrite=force, warn=report.warn) as sink:
            atlas = _map(texts, options, report)
            ByteWriter(sink).write(_drawn(atlas, None if html is None else ", ".join(files)).encode())
    elif texts:
        _show(_map(texts, options, report), as_json)
    return report.exit_code


def _read(found: Sequence[Found], options: MapOptions, report: Report) -> list[Excerpt]:
    from vaezip.map.fileio import read_excerpt

    texts = []
    for file in found:
        with report.catch(file.path):
            texts.append(read_excerpt(file, options))
    return texts


def _map(texts: Sequence[Excerpt], options: MapOptions, report: Report) -> Atlas:
    from vaezip.map.fileio import map_files

    with report.progress("map", 1, 1, steps=len(texts) * (len(texts) + 1)) as tick:
        return map_files(texts, options, tick)


def _show(atlas: Atlas, as_json: bool) -> None:
    from vaezip.map.terminal import tree_lines

    for line in [json_text(atlas.as_json())] if as_json else tree_lines(atlas):
        say(line)


def _drawn(atlas: Atlas, title: str | None) -> str:
    """A page of that title, or without one a picture."""
    from vaezip.map.page import page
    from vaezip.map.picture import picture

    return picture(atlas) if title is None else page(atlas, title)


def _show_nearest(
    nearest: str, found: Sequence[Found], options: MapOptions, report: Report, as_json: bool
) -> None:
    from vaezip.map.fileio import named_file, nearest_files, read_excerpt

    one, others = read_excerpt(named_file(nearest), options), _read(found, options, report)
    with report.progress(nearest, 1, 1, steps=3 * len(others) + 1) as tick:
        rows = nearest_files(one, others, options, tick)
    if as_json:
        say(
            json_text([{"distance": round(row.distance, 4), **row.entry._asdict()} for row in rows], indent=2)
        )
        return
    say(_LINE.format("distance", "preset", "z", "file"))
    for distance, entry in rows:
        z = "-" if entry.z is None else ",".join(map(str, entry.z))
        say(_LINE.format(f"{distance:.3f}", entry.preset, z, printable(entry.name)))
