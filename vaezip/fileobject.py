"""`.vz` files as file objects, like those of gzip, lzma and compression.zstd (PEP 784)."""

from __future__ import annotations

import builtins
import functools
import io
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast, overload

from vaezip.arguments import FilePath, buffer, whole_number
from vaezip.at_hand import AtHand
from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.block_index import BlockIndex
from vaezip.byteio import ByteWriter, Readable, Writable, check_binary
from vaezip.content import Content
from vaezip.copying import NotCopied
from vaezip.dictionaries.dictionary import DictionaryLike, loaded_dictionary
from vaezip.errors import TruncatedError, VaezipError
from vaezip.files import identity, open_named
from vaezip.frame_encoder import FrameEncoder
from vaezip.known_models import ModelLike, loaded
from vaezip.workers import thread_count

_Binary = Literal["r", "rb", "w", "wb", "a", "ab", "x", "xb"]
_Text = Literal["rt", "wt", "at", "xt"]
_MODES = {"r": "rb", "rb": "rb", "w": "wb", "wb": "wb", "a": "ab", "ab": "ab", "x": "xb", "xb": "xb"}


def mode_in_full(mode: str) -> str:
    """rb, wb, ab or xb; raises ValueError for any other mode."""
    if mode not in _MODES:
        raise ValueError(f"invalid mode: {mode!r}")
    return _MODES[mode]


@overload
def open(
    file: FilePath | Readable | Writable,
    mode: _Binary = ...,
    *,
    model: ModelLike = ...,
    dictionary: DictionaryLike = ...,
    block_size: int = ...,
    threads: int = ...,
    encoding: None = ...,
    errors: None = ...,
    newline: None = ...,
) -> VaezipFile: ...


@overload
def open(
    file: FilePath | Readable | Writable,
    mode: _Text,
    *,
    model: ModelLike = ...,
    dictionary: DictionaryLike = ...,
    block_size: int = ...,
    threads: int = ...,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
) -> io.TextIOWrapper: ...


@overload
def open(
    file: FilePath | Readable | Writable,
    mode: str,
    *,
    model: ModelLike = ...,
    dictionary: DictionaryLike = ...,
    block_size: int = ...,
    threads: int = ...,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
) -> VaezipFile | io.TextIOWrapper: ...


def open(
    file: FilePath | Readable | Writable,
    mode: str = "rb",
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> VaezipFile | io.TextIOWrapper:
    """A `.vz` file as a file object: a `VaezipFile`, or in a text mode (rt, wt, xt, at) one of text.

    encoding, errors, newline: as in the built-in `open`, for text only. Raises ValueError for what does not
    go together, and as `VaezipFile`.
    """
    text = "t" in mode
    if text and ("b" in mode or mode.count("t") > 1):
        raise ValueError(f"invalid mode: {mode!r}")
    if not text and (encoding, errors, newline) != (None, None, None):
        raise ValueError("encoding, errors and newline are for a text mode, such as rt")
    if text:  # before a file is opened, and perhaps emptied
        encoding = io.text_encoding(encoding)  # a warning that there is none points at our caller
        io.TextIOWrapper(io.BytesIO(), encoding, errors, newline)
    binary = VaezipFile(
        file,
        mode.replace("t", ""),
        model=model,
        dictionary=dictionary,
        block_size=block_size,
        threads=threads,
    )
    return io.TextIOWrapper(binary, encoding, errors, newline) if text else binary


class VaezipFile(NotCopied, io.BufferedIOBase):
    """A `.vz` file that is read or written as if it were not compressed.

    Reading may begin anywhere: what `seek` and `read` cost is the decoding of one block, if the file below
    can seek. Memory is bounded by blocks and threads, whatever the size of the file. Frames that are appended
    while it is read are read, too, once they are whole.
    """

    _file: Any = None  # below; None before it is opened, and once it is closed

    def __init__(
        self,
        file: FilePath | Readable | Writable,
        mode: str = "r",
        *,
        model: ModelLike = None,
        dictionary: DictionaryLike = None,
        block_size: int = DEFAULT_BLOCK_SIZE,
        threads: int = 1,
    ) -> None:
        """file: a path, or a binary stream, which is not closed. mode: r, w, x or a (append a frame), or rb…

        model, dictionary, block_size, threads: as in `vaezip.compress`. Raises ValueError for another mode,
        OSError if the file cannot be opened, with mode a TruncatedError if it ends amid a frame, FormatError
        if it is no `.vz` file; reading raises as `vaezip.decompress` does.
        """
        self._mode = mode_in_full(mode)
        self._is_ours = isinstance(file, (str, bytes, os.PathLike))
        if not self._is_ours:
            check_binary(file, "read" if self._mode == "rb" else "write")
        self._reader: io.BufferedReader | None = None
        self._encoder: FrameEncoder | None = None
        self._is_broken = False  # since something that was to be written may be missing
        thread_count(threads)
        if self._mode != "rb":  # what is wrong with the options comes out before a file is emptied
            self._new_frame = functools.partial(
                FrameEncoder,
                loaded(model),
                block_size,
                threads,
                dictionary=None if dictionary is None else loaded_dictionary(dictionary),
            )
            self._encoder = self._new_frame()
        else:
            at_hand = AtHand.of(model, dictionary)
        opened: Any = open_named(file, self._mode) if isinstance(file, (str, bytes, os.PathLike)) else file
        if self._mode == "ab":
            try:
                _go_to_end(opened)
            except BaseException:
                if self._is_ours:
                    opened.close()
                raise
        self._file = opened
        if self._mode == "rb":
            raw = Content(opened, at_hand, threads, _name(opened))
            self._reader = io.BufferedReader(raw, io.DEFAULT_BUFFER_SIZE)
        else:
            self._writer, self._position = ByteWriter(opened), 0
            self._ended: int | None = None  # where in the content the last whole frame ends, if there is one

    @property
    def name(self) -> Any:
        """That of the file below."""
        self._check_open()
        return self._file.name

    @property
    def mode(self) -> Literal["rb", "wb"]:
        """rb or wb."""
        return "rb" if self._mode == "rb" else "wb"

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._file is None

    def close(self) -> None:
        """Finish the frame, if the file was written; close the file below if it was opened here.

        Raises OSError if `write` failed or was interrupted before: the file ends without what was left.
        """
        if self.closed:
            return
        file, reader, encoder, is_broken = self._file, self._reader, self._encoder, self._is_broken
        try:
            if is_broken:
                raise OSError("the file is not complete: writing it failed or was interrupted")
            if encoder is not None and self._ended != self._position:
                self._write(encoder.finish())
        finally:
            self._file = self._reader = self._encoder = None
            if reader is not None:
                reader.close()
            if self._is_ours:
                file.close()

    def __exit__(self, *exception: Any) -> None:
        """Close the file; an exception that has left it incomplete is not hidden by another one."""
        try:
            self.close()
        except OSError:
            if not self._is_broken or exception == (None, None, None):
                raise

    def fileno(self) -> int:
        """That of the file below."""
        self._check_open()
        return cast(int, self._file.fileno())

    def readable(self) -> bool:
        """True if it was opened for reading."""
        self._check_open()
        return self._reader is not None

    def writable(self) -> bool:
        """True if it was opened for writing."""
        self._check_open()
        return self._encoder is not None

    def seekable(self) -> bool:
        """True if it is read, and the file below can seek."""
        return self.readable() and cast(io.BufferedReader, self._reader).seekable()

    def peek(self, size: int = -1) -> bytes:
        """Some bytes without moving on; none only at the end."""
        return self._for_reading().peek(max(whole_number(size, "size"), 1))

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, or all that are left."""
        return self._for_reading().read(size)

    def read1(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, from one block; none only at the end."""
        size = whole_number(-1 if size is None else size, "size")
        return self._for_reading().read1(io.DEFAULT_BUFFER_SIZE if size < 0 else size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the content goes."""
        return self._for_reading().readinto(buffer)

    def readline(self, size: int | None = -1) -> bytes:
        """A line, its end included."""
        return self._for_reading().readline(-1 if size is None else size)

    def __iter__(self) -> Iterator[bytes]:
        self._for_reading()
        return self

    def __next__(self) -> bytes:
        if line := self.readline():
            return line
        raise StopIteration

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in the content.

        If the file below cannot seek, it is read on to there, and io.UnsupportedOperation raised if that is
        behind or counted from the end.
        """
        reader = self._for_reading()
        if reader.seekable():
            return reader.seek(offset, whence)
        ahead = operator.index(offset) - (reader.tell() if whence == io.SEEK_SET else 0)
        if ahead < 0 or whence not in (io.SEEK_SET, io.SEEK_CUR):
            raise io.UnsupportedOperation("the file below cannot seek: only forwards")
        while ahead and (part := reader.read(min(ahead, io.DEFAULT_BUFFER_SIZE))):
            ahead -= len(part)
        return reader.tell()

    def tell(self) -> int:
        """The position in the content."""
        self._check_open()
        return self._position if self._reader is None else self._reader.tell()

    def write(self, data: Any) -> int:
        """Compress all of `data`; what is ready goes to the file below."""
        self._check_open()
        if self._encoder is None:
            raise io.UnsupportedOperation("the file was opened for reading")
        content = buffer(data)
        with self._breakable():
            self._write(self._encoder.feed(content))
            self._position += len(content)
        return len(content)

    def flush(self) -> None:
        """Make all readable that was written so far, and flush the file below.

        That ends a frame, and what follows begins another, so that many short ones take more bytes.
        """
        self._check_open()
        if self._encoder is None:
            return
        if self._is_broken or self._position != (self._ended or 0):
            with self._breakable():
                self._write(self._encoder.finish())
                self._encoder, self._ended = self._new_frame(), self._position
        if hasattr(self._file, "flush"):
            self._file.flush()

    def _write(self, parts: Iterator[bytes]) -> None:
        for part in parts:
            self._writer.write(part)

    @contextmanager
    def _breakable(self) -> Iterator[None]:
        """Nothing can be added after an error in what is done here."""
        if self._is_broken:
            raise OSError("writing failed or was interrupted before: nothing can be added")
        self._is_broken = True
        yield
        self._is_broken = False

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _for_reading(self) -> io.BufferedReader:
        self._check_open()
        if self._reader is None:
            raise io.UnsupportedOperation("the file was opened for writing")
        return self._reader


def _name(file: Any) -> str | None:
    """That of a file object, for errors."""
    name = getattr(file, "name", getattr(file, "path", None))  # the latter of fsspec's files
    return name if isinstance(name, str) else None


def _go_to_end(file: Any) -> None:
    """Where the next frame goes, if the file can seek; raises FormatError if it could not be read there.

    A file that cannot be read is taken for a whole one.
    """
    try:
        if not (hasattr(file, "seekable") and file.seekable() and file.seek(0, os.SEEK_END)):
            return
    except (OSError, ValueError):  # some that can seek cannot do so to the end
        return
    name = "" if _name(file) is None else f"{_name(file)}: "
    try:
        with _for_looking(file) as there:
            BlockIndex(there)
    except TruncatedError as error:
        raise TruncatedError(
            f"{name}ends amid a frame, so that nothing can be appended: "
            "what `vaezip -dc` still reads of it may be written anew"
        ) from error
    except VaezipError as error:
        raise type(error)(f"{name}nothing can be appended: {error}") from error
    except OSError:
        pass
    file.seek(0, os.SEEK_END)


@contextmanager
def _for_looking(file: Any) -> Iterator[Any]:
    """A file that is being written, to be read: opened once more if its name leads to it, or else itself."""
    name = getattr(file, "name", None)
    try:
        is_named = isinstance(name, (str, bytes)) and identity(os.stat(name)) == identity(
            os.fstat(file.fileno())
        )
    except (AttributeError, OSError, ValueError):
        is_named = False
    if is_named:
        with builtins.open(cast(str, name), "rb") as opened:
            yield opened
    elif hasattr(file, "readable") and file.readable():
        yield file
    else:
        raise io.UnsupportedOperation("not readable")
