"""How small short texts become: vaezip's messages and dictionaries, and what else is made for them.

    python benchmarks/messages.py sizes KIND=PATH...
    python benchmarks/messages.py collections KIND=PATH...
    python benchmarks/messages.py speed PATH

A PATH is a file, or a folder whose files are taken together; a KIND may have several. `sizes` takes texts
of 10 to 200 bytes of every kind: whole lines whose size is within a fifth of that, or where these are too
few, pieces of longer lines that begin and end with a word. `collections` puts 100 records of every kind
aside, at random and without duplicates, and codes each by itself, knowing all others. Each compressor's
output is decompressed and compared. `records.py` fetches some collections.

Rivals are taken if they are installed: `pip install '.[bench]'`, `pip install --group messages`, and

    CFLAGS=-DPY_SSIZE_T_CLEAN pip install --no-binary pyshoco pyshoco

since pyshoco has not been kept up with Python.
"""

from __future__ import annotations

import importlib
import math
import platform
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

import click
import numpy as np

import vaezip
from vaezip.bench.compressors import Compressor
from vaezip.coder import TOTAL
from vaezip.dictionaries.dictionary import MAX_DICTIONARY
from vaezip.dictionaries.selection import choose_texts

SIZES = (10, 20, 50, 100, 200)
HELD_OUT = 100  # records of a collection
DICTIONARIES = (4 << 10, 16 << 10, 64 << 10)
USUAL = 16 << 10  # bytes of the dictionary that rivals have, too
SPEED_SIZE, ROUNDS = 80, 7

Kinds = dict[str, list[Path]]


def module(name: str) -> Any:
    """It, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def rivals() -> Iterator[Compressor]:
    """Those that are installed, without dictionaries."""
    for name in ("smaz", "pyshoco"):
        if one := module(name):
            yield of_strings(name.removeprefix("py"), one)
    if smaz2 := module("pysmaz2"):
        yield Compressor(
            "smaz2",
            lambda d: bytes(smaz2.compress(d, 2 * len(d) + 16)),
            lambda d, n: bytes(smaz2.decompress(d, n + 16)),
        )
    if unishox2 := module("unishox2"):
        yield Compressor(
            "unishox2",
            lambda d: bytes(unishox2.compress(d.decode())[0]),
            lambda d, n: str(unishox2.decompress(d, n)).encode(),
        )
    if brotli := module("brotli"):
        yield Compressor(
            "brotli",
            lambda d: bytes(brotli.compress(d, quality=11, lgwin=10)),
            lambda d, _: bytes(brotli.decompress(d)),
        )
    if module("zstandard"):
        yield zstd_bare(None)


def of_strings(name: str, one: Any) -> Compressor:
    """What takes and gives str."""
    return Compressor(
        name, lambda d: bytes(one.compress(d.decode())), lambda d, _: str(one.decompress(d)).encode()
    )


def zstd(dictionary: Any) -> Compressor:
    """Level 19, in frames as the library writes them: with magic number, and the number of a trained one."""
    zstandard = module("zstandard")
    encoder = zstandard.ZstdCompressor(level=19, dict_data=dictionary)
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary)
    return Compressor("zstd's frame", encoder.compress, lambda d, _: bytes(decoder.decompress(d)))


def zstd_bare(dictionary: Any) -> Compressor:
    """Level 19, in the least frame there is: without magic number, checksum and dictionary's number."""
    zstandard = module("zstandard")
    bare = zstandard.FORMAT_ZSTD1_MAGICLESS
    options = {"format": bare, "write_checksum": False, "write_dict_id": False}
    parameters = zstandard.ZstdCompressionParameters.from_level(19, **options)
    encoder = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary, format=bare)
    return Compressor("zstd", encoder.compress, lambda d, _: bytes(decoder.decompress(d)))


def zstd_dictionaries(others: Sequence[bytes]) -> list[Any]:
    """One of the texts that vaezip chooses, and if it can one that zstd trains."""
    zstandard = module("zstandard")
    chosen = b"\n".join(choose_texts(others, USUAL))
    dictionaries = [zstandard.ZstdCompressionDict(chosen, dict_type=zstandard.DICT_TYPE_RAWCONTENT)]
    try:
        dictionaries.append(zstandard.train_dictionary(USUAL, others, level=19))
    except zstandard.ZstdError as error:
        click.echo(f"zstd trains no dictionary: {error}", err=True)
    return dictionaries


def message(name: str, codec: vaezip.MessageCodec) -> Compressor:
    """Messages of that codec."""
    return Compressor(name, codec.encode, lambda d, _: codec.decode(d))


def mean_size(compressor: Compressor, texts: Sequence[bytes]) -> float:
    """Bytes for each; fails if one does not come back."""
    sizes = []
    for text in texts:
        coded = compressor.compress(text)
        if compressor.decompress(coded, len(text)) != text:
            raise click.ClickException(f"{compressor.name} does not give {text!r} back")
        sizes.append(len(coded))
    return fmean(sizes)


def records(paths: Iterable[Path], paragraphs: bool = False) -> list[bytes]:
    """Lines, or what lies between empty lines; each but once, and no empty ones."""
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    separator = b"\n\n" if paragraphs else b"\n"
    found = (one.strip() for file in files for one in file.read_bytes().split(separator))
    return [one for one in dict.fromkeys(found) if one]


def texts_of_size(
    lines: Sequence[bytes], size: int, count: int, rng: random.Random
) -> tuple[list[bytes], int]:
    """So many texts, and how many of them are whole lines."""
    near = range(math.ceil(0.8 * size), math.floor(1.2 * size) + 1)
    whole = [line for line in lines if len(line) in near]
    whole = rng.sample(whole, min(count, len(whole)))
    longer = [line for line in lines if len(line) > near[-1]]
    pieces: dict[bytes, None] = {}
    for line in rng.sample(longer, len(longer)):
        if len(whole) + len(pieces) == count:
            break
        if (piece := a_piece(line, near, rng)) is not None and piece not in whole:
            pieces[piece] = None
    return [*whole, *pieces], len(whole)


def a_piece(line: bytes, near: range, rng: random.Random) -> bytes | None:
    """Words from anywhere in a line, if some have that size."""
    text = line.decode()
    bounds = [len(text[: match.start()].encode()) for match in re.finditer(r"\b", text)]
    found = [line[a:b] for a in bounds for b in bounds if b - a in near]
    return rng.choice(found) if found else None


def information(model: vaezip.Model, text: bytes) -> tuple[float, float]:
    """Bits of a text's bytes after a newline, and of the newline after it."""
    line = vaezip.Dictionary(b"\n", ord("\n"), 200)  # what a message without dictionary begins after
    with line.primed(model).predictor(len(text) + 1) as predictor:
        widths = predictor.intervals(np.frombuffer(text + b"\n", np.uint8))[:, 1]
    bits = -np.log2(widths / TOTAL)
    return float(bits[:-1].sum()), float(bits[-1])


def table(rows: Iterable[Sequence[object]]) -> None:
    """Print it as Markdown, floats with one decimal, each row when it is there."""
    for number, row in enumerate(rows):
        cells = [f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row]
        click.echo(f"| {' | '.join(cells)} |")
        if not number:
            click.echo(f"|{' --- |' + ' --: |' * (len(row) - 1)}")
    click.echo()


def size_rows(kinds: Kinds, model: vaezip.Model, count: int, seed: int) -> Iterator[Sequence[object]]:
    """Mean bytes by kind and size, and how much longer messages are than what they say."""
    all_of_them = [
        message("message", vaezip.MessageCodec(model)),
        Compressor(
            "frame", lambda d: vaezip.compress(d, model=model), lambda d, _: vaezip.decompress(d, model=model)
        ),
        *rivals(),
    ]
    yield ["", "bytes", "whole lines", *(one.name for one in all_of_them)]
    columns, excess = defaultdict(list), defaultdict(list)
    for kind, paths in kinds.items():
        lines = records(paths)
        for size in SIZES:
            texts, whole = texts_of_size(lines, size, count, random.Random(f"{seed} {kind} {size}"))
            if not texts:
                continue
            means = [mean_size(one, texts) for one in all_of_them]
            columns[size].append([fmean(map(len, texts)), *means])
            bits = [information(model, text) for text in texts]
            excess["text"].append(means[0] - fmean(own for own, _ in bits) / 8)
            excess["newline"].append(fmean(newline for _, newline in bits) / 8)
            yield [kind, columns[size][-1][0], f"{whole} of {len(texts)}", *means]
    for size, rows in columns.items():
        raw, *means = (fmean(column) for column in zip(*rows, strict=True))
        yield [f"mean of {size}", raw, "", *means]
    click.echo(
        f"\nA message is {fmean(excess['text']):.2f} bytes longer than what the model makes of the text's "
        f"own bytes; a newline would say in {fmean(excess['newline']):.2f} bytes that it ends."
    )


def collection_rows(
    kinds: Kinds, model: vaezip.Model, paragraphs: Sequence[str], seed: int
) -> Iterator[Sequence[object]]:
    """Mean bytes of a record, by what is known of the others."""
    names = ["message", *(f"{size >> 10} KB" for size in DICTIONARIES), "all", "frame, 16 KB"]
    plain = [one for one in rivals() if one.name in ("brotli", "zstd", "unishox2")]
    yield [
        "",
        "others, KB",
        "bytes",
        *names,
        *(one.name for one in plain),
        "zstd, 16 KB",
        "its frame",
        "message/zstd",
        "message/its frame",
        "frame/frame",
    ]
    ratios = []
    for kind, paths in kinds.items():
        found = records(paths, kind in paragraphs)
        random.Random(seed).shuffle(found)
        held_out, others = found[:HELD_OUT], found[HELD_OUT:]
        codecs = [vaezip.MessageCodec(model)]
        for size in (*DICTIONARIES, MAX_DICTIONARY):
            dictionary = vaezip.make_dictionary(choose_texts(others, size))
            codecs.append(vaezip.MessageCodec(model, dictionary))
            if size == USUAL:
                usual = dictionary
        own = [mean_size(message("message", codec), held_out) for codec in codecs]
        own.append(mean_size(framed(model, usual), held_out))
        other = [mean_size(one, held_out) for one in plain]
        dictionaries = zstd_dictionaries(others)
        bare, frame = (
            min(mean_size(make(dictionary), held_out) for dictionary in dictionaries)
            for make in (zstd_bare, zstd)
        )
        ours = own[1 + DICTIONARIES.index(USUAL)]
        ratios.append((ours / bare, ours / frame, own[-1] / frame))
        known = sum(map(len, others)) / 1024
        yield [
            kind,
            f"{known:.0f}",
            fmean(map(len, held_out)),
            *own,
            *other,
            bare,
            frame,
            *(f"{ratio:.2f}" for ratio in ratios[-1]),
        ]
    means = (f"{geometric_mean(part):.3f}" for part in zip(*ratios, strict=True))
    yield ["geometric mean", *[""] * (len(names) + len(plain) + 4), *means]


def framed(model: vaezip.Model, dictionary: vaezip.Dictionary) -> Compressor:
    """Frames, as of files."""
    return Compressor(
        "frame",
        lambda d: vaezip.compress(d, model=model, dictionary=dictionary),
        lambda d, _: vaezip.decompress(d, model=model, dictionary=dictionary),
    )


def per_second(action: Callable[[bytes], object], items: Sequence[bytes]) -> float:
    """How many of them one thread does, each in the best time of several rounds."""
    best = [math.inf] * len(items)
    for _ in range(ROUNDS):
        for number, item in enumerate(items):
            began = time.perf_counter()
            action(item)
            best[number] = min(best[number], time.perf_counter() - began)
    return len(items) / sum(best)


def speed_rows(path: Path, model: vaezip.Model, seed: int) -> Iterator[Sequence[object]]:
    """Messages a second, and how long it takes to be ready for them."""
    yield ["", "encoded a second", "decoded a second", "bytes of a message", "seconds to start"]
    lines = records([path])
    texts, whole = texts_of_size(lines, SPEED_SIZE, HELD_OUT, random.Random(seed))
    others = [line for line in lines if line not in texts]

    def row(name: str, make: Callable[[], Compressor]) -> Sequence[object]:
        began = time.perf_counter()
        one = make()
        seconds = time.perf_counter() - began
        coded = [one.compress(text) for text in texts]
        encoded = per_second(one.compress, texts)
        decoded = per_second(lambda data: one.decompress(data, SPEED_SIZE * 2), coded)
        return [name, f"{encoded:.0f}", f"{decoded:.0f}", fmean(map(len, coded)), f"{seconds:.2f}"]

    yield row("no dictionary", lambda: message("message", vaezip.MessageCodec(model)))
    for size in DICTIONARIES:
        made = vaezip.make_dictionary(choose_texts(others, size))
        known = f"dictionary of {len(made.text) / 1024:.0f} KB"
        yield row(known, partial(lambda made: message("message", vaezip.MessageCodec(model, made)), made))
    if module("zstandard"):
        yield row("zstd -19, one of 16 KB", partial(zstd_bare, zstd_dictionaries(others)[-1]))
    click.echo(
        f"{len(texts)} texts of {fmean(map(len, texts)):.0f} bytes, {whole} of them whole lines; "
        f"engine {model.engine.name}, {processor()}"
    )


def processor() -> str:
    """Its name."""
    try:
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def kinds_of(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> Kinds:
    """Paths by the kind that they are of."""
    kinds: Kinds = defaultdict(list)
    for value in values:
        kind, equals, path = value.partition("=")
        if not equals or not Path(path).exists():
            raise click.BadParameter(f"{value}: not KIND=PATH of a file or folder")
        kinds[kind].append(Path(path))
    return kinds


kinds_argument = click.argument("kinds", metavar="KIND=PATH...", nargs=-1, required=True, callback=kinds_of)
model_option = click.option("--model", default="standard", show_default=True)
seed_option = click.option("--seed", default=1, show_default=True)


@click.group(help=__doc__.split("\n")[0] if __doc__ else None)
def main() -> None:
    """See above."""


@main.command()
@kinds_argument
@click.option("--count", default=50, show_default=True, help="Texts of every kind and size.")
@model_option
@seed_option
def sizes(kinds: Kinds, count: int, model: str, seed: int) -> None:
    """Mean bytes of short texts, by kind and size."""
    table(size_rows(kinds, vaezip.load_model(model), count, seed))


@main.command()
@kinds_argument
@click.option(
    "--paragraphs", metavar="KIND", multiple=True, help="Its records have empty lines between them."
)
@model_option
@seed_option
def collections(kinds: Kinds, paragraphs: Sequence[str], model: str, seed: int) -> None:
    """Mean bytes of records of every kind, with dictionaries of the others."""
    table(collection_rows(kinds, vaezip.load_model(model), paragraphs, seed))


@main.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@model_option
@seed_option
def speed(path: Path, model: str, seed: int) -> None:
    """Messages a second of 80 bytes, on one core."""
    table(speed_rows(path, vaezip.load_model(model), seed))


if __name__ == "__main__":
    main()
