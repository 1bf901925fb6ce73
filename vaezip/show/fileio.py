"""`vaezip show` from file to figures, and from file to page."""

from __future__ import annotations

from vaezip.byteio import ByteReader, ByteWriter
from vaezip.fileio import Options, Target, opened, transform_file
from vaezip.files import Source
from vaezip.known_models import loaded
from vaezip.meter import Meter, Part, Ticker
from vaezip.model import Model
from vaezip.outputs import Sink
from vaezip.show.account import Shown
from vaezip.show.attribution import attribute
from vaezip.show.characters import split_characters
from vaezip.show.costs import measure_costs
from vaezip.show.page import page
from vaezip.stream import Sizes


def show_file(source: str | None, options: Options, progress: Ticker | None = None) -> Shown:
    """A file, or standard input (None), with what it costs as `compress_file` would code it.

    A VaezipError begins with the name of the file that it concerns.
    """
    with opened(source, any_kind=True) as data:
        return _measured(
            source, ByteReader(data).read_all(), loaded(options.model.to_write), options, progress
        )


def show_page(
    source: str | None, target: Target | None, options: Options, progress: Ticker | None = None
) -> Sizes:
    """Write the page of a file; None is standard input or output. Errors as `show_file`."""

    def work(data: Source, sink: Sink) -> Sizes:
        content, model = ByteReader(data).read_all(), loaded(options.model.to_write)
        part = Part(Meter(progress), len(content), 2 * len(content))  # measured, then explained
        shown = _measured(source, content, model, options, part.tick)
        attribution = attribute(model, content, shown.costs, options.threads, part.tick)
        writer = ByteWriter(sink)
        writer.write(page(shown, attribution))
        return Sizes(len(content), writer.position)

    return transform_file(source, target, options, work)


def _measured(
    source: str | None, data: bytes, model: Model, options: Options, progress: Ticker | None
) -> Shown:
    costs = measure_costs(
        data,
        model=model,
        block_size=options.block_size,
        threads=options.threads,
        with_size=False,
        progress=progress,
    )
    return Shown(source or "standard input", model.name, data, costs, split_characters(data))
