"""Several threads hold as much as is promised of them, and no more."""

from __future__ import annotations

import threading
import time
import weakref
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


class Thing:
    """Something that can be watched."""


@pytest.mark.parametrize("available", [0, 1])
def test_where_no_thread_is_to_be_had_all_is_done_once_and_nothing_kept(
    available: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start, done, seen = 0, threading.Thread.start, [], weakref.WeakSet[Thing]()

    def refuse(thread: threading.Thread) -> None:
        nonlocal started
        if started == available:
            raise RuntimeError("can't start new thread")
        started += 1
        start(thread)

    def work(item: tuple[int, Thing]) -> tuple[int, Thing]:
        time.sleep(0.001)
        done.append(item[0])
        seen.add(result := Thing())
        return item[0], result

    def items() -> Iterator[tuple[int, Thing]]:
        for number in range(40):
            seen.add(thing := Thing())
            yield number, thing
            del thing

    monkeypatch.setattr(threading.Thread, "start", refuse)
    most = 0
    for count, (number, _) in enumerate(in_order(work, items(), 3)):
        assert number == count
        most = max(most, len(seen))
    assert sorted(done) == list(range(40))
    assert most <= 12
