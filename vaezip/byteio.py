"""Reads and writes bytes, all of them, through whatever Python calls a binary stream.

A raw stream may read or take fewer bytes than it was asked to, a non-blocking one none at all for now
(io.RawIOBase: None; io.BufferedIOBase: None or BlockingIOError). Here that is never the end, and never lost.
"""

from __future__ import annotations

import io
import selectors
import time
from typing import Protocol

from vaezip.errors import TruncatedError

_PORTION = 1 << 20  # bytes
_PATIENCE = 0.01  # seconds between two tries where nothing tells when a stream is ready ...
_LONGEST_WAIT = 1.0  # ... and where something does, which may be wrong
_IS_TEXT = "a stream of text, but one of bytes is needed: open it in a binary mode"


class Readable(Protocol):
    """Part of a binary stream."""

    def read(self, n: int, /) -> bytes | None:
        """At most n bytes, none at the end; None if there are none yet."""


class Seekable(Readable, Protocol):
    """Part of a binary stream that can be read anywhere."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As of any binary stream."""


class Writable(Protocol):
    """Part of a binary stream."""

    def write(self, data: bytes | memoryview, /) -> int | None:
        """Take some of `data`, and say how many bytes."""


def check_binary(stream: object, method: str) -> None:
    """Raise TypeError for what is no binary stream with that method, as far as that can be seen."""
    if not hasattr(stream, method):
        hint = "; content goes into io.BytesIO" if isinstance(stream, (bytes, bytearray, memoryview)) else ""
        raise TypeError(f"not a binary stream: {type(stream).__name__} has no {method}{hint}")
    if isinstance(getattr(stream, "file", stream), io.TextIOBase):  # tempfile's have the real one there
        raise TypeError(_IS_TEXT)


class ByteReader:
    """Reads exact numbers of bytes from a binary stream, and remembers how many."""

    def __init__(self, stream: Readable) -> None:
        check_binary(stream, "read")
        self._stream = stream
        self.position = 0

    def read(self, n: int) -> bytes:
        """The next n bytes; raises TruncatedError if there are fewer."""
        data = self.read_some(n)
        if len(data) < n:
            raise TruncatedError("the file ends too early: it is truncated")
        return data

    def read_some(self, n: int) -> bytes:
        """The next n bytes, or fewer at the end of the stream."""
        parts = []
        while n > 0:
            try:
                part = self._stream.read(n)
            except (BlockingIOError, InterruptedError):
                part = None
            if part is None:
                _wait(self._stream, selectors.EVENT_READ)
                continue
            if not part:
                break
            if isinstance(part, str):  # as of codecs' streams
                raise TypeError(_IS_TEXT)
            parts.append(part)
            n -= len(part)
        data = b"".join(parts)
        self.position += len(data)
        return data

    def skip(self, n: int) -> None:
        """Pass over the next n bytes; raises TruncatedError if there are fewer."""
        while n > 0:
            n -= len(self.read(min(n, _PORTION)))

    def read_all(self) -> bytes:
        """All bytes that are left."""
        return b"".join(iter(lambda: self.read_some(_PORTION), b""))


class ByteWriter:
    """Writes to a binary stream all that it is given, or raises; remembers how many bytes."""

    def __init__(self, stream: Writable) -> None:
        check_binary(stream, "write")
        self._stream = stream
        self.position = 0

    def write(self, data: bytes) -> None:
        """Write all of `data`; raises whatever the stream raises, and OSError if it takes nothing."""
        rest: bytes | memoryview = data
        while rest:
            taken = self._write_some(rest)
            self.position += taken
            rest = memoryview(rest)[taken:]

    def _write_some(self, data: bytes | memoryview) -> int:
        """Write once, and return the number of bytes that the stream took."""
        try:
            taken = self._stream.write(data)
        except BlockingIOError as error:
            taken = getattr(error, "characters_written", 0)
            if not taken:
                _wait(self._stream, selectors.EVENT_WRITE)
            return taken
        except InterruptedError:
            return 0
        if taken is None:
            if not isinstance(self._stream, io.RawIOBase):
                return len(data)  # something with a `write` that says nothing
            _wait(self._stream, selectors.EVENT_WRITE)
            return 0
        if not 0 < taken <= len(data):
            raise OSError(f"the stream says that it took {taken} of {len(data)} bytes")
        return taken


def _wait(stream: Readable | Writable, event: int) -> None:
    """Wait until a stream is ready, or for a moment if it cannot be asked."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(stream.fileno(), event)  # type: ignore[union-attr]
            selector.select(_LONGEST_WAIT)
    except (AttributeError, OSError, ValueError):
        time.sleep(_PATIENCE)
