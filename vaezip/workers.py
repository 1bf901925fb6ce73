"""Work on several blocks at once; what comes out does not depend on how many."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from vaezip.arguments import whole_number

T = TypeVar("T")
R = TypeVar("R")


_MOST = 256  # threads


def thread_count(threads: int) -> int:
    """0 means all cores that this process may use; raises ValueError for less, TypeError for no number."""
    if whole_number(threads, "number of threads") < 0:
        raise ValueError("number of threads must not be negative")
    if threads:
        return min(threads, _MOST)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(pool: ThreadPoolExecutor, function: Callable[[T], R], item: T) -> Future[R]:
    future: Future[R] = Future()
    tasks = [(function, item, future)]
    try:
        pool.submit(_take, tasks)
    except RuntimeError:  # the system has no thread to spare, or Python is about to end: then by ourselves
        _take(tasks)  # the pool may have kept it for a thread all the same, which finds nothing then
    return future


def _take(tasks: list[tuple[Callable[[T], R], T, Future[R]]]) -> None:
    """Do the one task that there is, unless another thread has taken it."""
    try:
        function, item, future = tasks.pop()
    except IndexError:
        return
    try:
        future.set_result(function(item))
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, Exception):
            raise


class Queue(Generic[T, R]):
    """Items worked on in threads, whose results come out in the order in which the items went in."""

    def __init__(self, function: Callable[[T], R], threads: int) -> None:
        """threads: 1 works at once, in the caller's; 0 is one per core."""
        self._function = function
        self._threads = thread_count(threads)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self._pending: deque[Future[R]] = deque()

    def push(self, item: T) -> Iterator[R]:
        """Begin with an item; results that are due, so that at most one item more than threads is ahead."""
        if self._pool is None:
            yield self._function(item)
            return
        self._pending.append(_begin(self._pool, self._function, item))
        while len(self._pending) > self._threads:
            yield self._pending.popleft().result()
        yield from self.ready()

    def ready(self) -> Iterator[R]:
        """The results that are there already."""
        while self._pending and self._pending[0].done():
            yield self._pending.popleft().result()

    def drain(self) -> Iterator[R]:
        """The results that are left."""
        while self._pending:
            yield self._pending.popleft().result()

    def close(self) -> None:
        """Drop what has not begun; threads finish what they have begun, but nobody waits for them."""
        self._pending.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of as many items as `size` says of their first; the last may have fewer, also before an error."""
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size(batch[0]):
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Like `map`, but in threads; at most one item more than there are threads is ahead of the caller.

    After an error, threads finish the items that they have begun, but nobody waits for them. If the system
    refuses a thread, the caller's does the work.
    """
    queue, iterator, failure = Queue(function, threads), iter(items), None
    try:
        while failure is None:
            try:
                item = next(iterator)
            except Exception as error:  # StopIteration too: what went before comes first
                failure = error
            else:
                yield from queue.push(item)
        yield from queue.drain()
    finally:
        queue.close()
    if not isinstance(failure, StopIteration):
        raise failure
