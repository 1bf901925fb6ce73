"""The cost of reading anywhere: sizes and times by block size, of a text and of 1 KB from anywhere in it.

    python benchmarks/random_access.py FILE [BLOCK_SIZE ...]

Each read opens the file anew, seeks, and reads 1 KB: median of 15, beside the time that decoding one block
of that size takes. Block sizes are in KB.
"""

from __future__ import annotations

import io
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import vaezip

READS = 15


def seconds(action: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def read_at(blob: bytes, place: int) -> bytes:
    """1 KB of the content."""
    with vaezip.VaezipFile(io.BytesIO(blob)) as file:
        file.seek(place)
        return file.read(1024)


def main() -> None:
    """Print the table."""
    text = Path(sys.argv[1]).read_bytes()
    places = [random.Random(0).randrange(len(text)) for _ in range(READS)]
    print("| block | bytes | of the largest | 1 KB from anywhere | one block |\n|--:|--:|--:|--:|--:|")
    rows = []
    for size in [int(kilobytes) << 10 for kilobytes in sys.argv[2:] or ("512", "128", "64", "32")]:
        blob = vaezip.compress(text, block_size=size, threads=0)
        block = vaezip.compress(text[:size])
        reads = []
        for place in places:
            reads.append(seconds(partial(read_at, blob, place)))
            assert read_at(blob, place) == text[place : place + 1024]
        rows.append(len(blob))
        once = min(seconds(partial(vaezip.decompress, block)) for _ in range(3))
        print(
            f"| {size >> 10} KB | {len(blob)} | {len(blob) / rows[0]:.3f} | {statistics.median(reads):.2f} s"
            f" | {once:.2f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
