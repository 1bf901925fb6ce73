"""Several threads hold as much as is promised of them, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vaezip.workers import in_order


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("seconds", [0, 0.002])
def test_the_source_is_but_one_item_more_than_threads_ahead(threads: int, seconds: float) -> None:
    """So memory is bounded, however long the source, and whether it or the work is slow."""
    taken, farthest = 0, 0

    def numbers() -> Iterator[int]:
        nonlocal farthest
        for number in range(40):
            farthest = max(farthest, number + 1 - taken)
            yield number

    def work(number: int) -> int:
        time.sleep(seconds)
        return number

    for taken, number in enumerate(in_order(work, numbers(), threads), 1):
        assert number == taken - 1
    assert taken == 40
    assert farthest <= threads + 1
    assert farthest > 1 or threads == 1 or not seconds
