"""The benchmark's ancestors: LZW and Huffman coding."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaezip.bench.huffman import huffman_compress, huffman_decompress
from vaezip.bench.lzw import lzw_compress, lzw_decompress


@given(data=st.binary(max_size=2000) | st.text("ab").map(str.encode))
def test_the_ancestors_round_trip(data: bytes) -> None:
    assert huffman_decompress(huffman_compress(data)) == data
    assert lzw_decompress(lzw_compress(data)) == data


def test_lzw_round_trips_past_a_full_dictionary() -> None:
    data = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()
    assert lzw_decompress(lzw_compress(data)) == data


def test_huffman_codes_are_as_short_as_counts_allow() -> None:
    data = b"a" * 64 + b"b" * 32 + b"c" * 16 + b"d" * 8 + b"e" * 8
    bits = 64 * 1 + 32 * 2 + 16 * 3 + 16 * 4
    assert len(huffman_compress(data)) == 2 + 5 * len(Counter(data)) + 1 + bits // 8
