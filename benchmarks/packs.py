"""Packs of records against files and against rows of a database, as Markdown.

    python benchmarks/packs.py FILES...

Every line of a file is a record. `zstd by row` is what sqlite-zstd does: each row compressed alone, level 19,
with a dictionary trained on the rows (an eighth of all, 110 KB at most), which is counted, and so is a byte a
row for its length; frames without magic and checksum. The others are whole files, from which no record can be
had alone.
"""

from __future__ import annotations

import io
import lzma
import time
from pathlib import Path
from typing import Any

import click
import zstandard

import vaezip

PACKS: dict[str, dict[str, Any]] = {"pack": {}, "--group 8": {"group": 8}, "--unordered": {"unordered": True}}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(files: tuple[Path, ...]) -> None:
    """Measure FILES."""
    names = ("zstd by row", "*vaezip, one file*", "*xz -9e*", "ms to get one")
    print("| " + " | ".join(("records", "number", "bytes", *PACKS, *names)) + " |")
    print("| --- " + "| --: " * 9 + "|")
    for path in files:
        records = [line for line in path.read_bytes().split(b"\n") if line]
        text = b"\n".join(records) + b"\n"
        packs = {name: vaezip.pack_records(records, **options) for name, options in PACKS.items()}
        for name, pack in packs.items():
            back = list(vaezip.Records(io.BytesIO(pack)))
            assert back == (sorted(records) if name == "--unordered" else records)
        figures = [
            len(records),
            len(text),
            *map(len, packs.values()),
            by_row(records),
            len(vaezip.compress(text)),
            len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)),
        ]
        print(f"| {path.stem} | " + " | ".join(map(str, figures)) + f" | {milliseconds(packs['pack']):.1f} |")


def by_row(records: list[bytes]) -> int:
    """Bytes of rows and dictionary."""
    size = min(110 << 10, sum(map(len, records)) // 8)
    try:
        dictionary = zstandard.train_dictionary(size, [*records], level=19)
    except zstandard.ZstdError:  # too few of them
        dictionary = zstandard.ZstdCompressionDict(b"".join(records)[:size])
    compressor = zstandard.ZstdCompressor(
        dict_data=dictionary,
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            19, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_checksum=False
        ),
    )
    rows = sum(len(compressor.compress(record)) + 1 for record in records)
    return rows + len(zstandard.ZstdCompressor(19).compress(dictionary.as_bytes()))


def milliseconds(pack: bytes) -> float:
    """The milliseconds to read one record, once the pack is open."""
    records = vaezip.Records(io.BytesIO(pack))
    _ = records[0]
    chosen = range(1, len(records), max(1, len(records) // 50))
    began = time.perf_counter()
    for number in chosen:
        _ = records[number]
    return 1000 * (time.perf_counter() - began) / len(chosen)


if __name__ == "__main__":
    main()
