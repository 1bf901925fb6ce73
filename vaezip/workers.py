"""Work on several blocks at once; what comes out does not depend on how many."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


_MOST = 256  # threads


def thread_count(threads: int) -> int:
    """0 means all cores that this process may use; raises ValueError for less."""
    if threads < 0:
        raise ValueError("number of threads must not be negative")
    if threads:
        return min(threads, _MOST)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(pool: ThreadPoolExecutor, function: Callable[[T], R], item: T) -> Future[R]:
    try:
        return pool.submit(function, item)
    except RuntimeError as error:  # which is what Python makes of a system that has no thread to spare
        raise MemoryError(str(error)) from error


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Like `map`, but in threads; at most one item more than there are threads is ahead of the caller.

    After an error, threads finish the items that they have begun, but nobody waits for them. Raises
    MemoryError if the system refuses a thread.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pending: deque[Future[R]] = deque()
    iterator, failure = iter(items), None
    pool = ThreadPoolExecutor(threads)
    try:
        while failure is None:
            try:
                pending.append(_begin(pool, function, next(iterator)))
            except Exception as error:  # StopIteration too: what went before comes first
                failure = error
            while len(pending) > (threads if failure is None else 0):
                yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if not isinstance(failure, StopIteration):
        raise failure
