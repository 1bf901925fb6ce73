"""A frame, made of content as it comes."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from vaezip import container
from vaezip.block import encode_block
from vaezip.container import Index
from vaezip.dictionaries.dictionary import Dictionary
from vaezip.dictionaries.priming import Primed
from vaezip.meter import Meter, Part, Ticker
from vaezip.model import Model
from vaezip.workers import Queue


class FrameEncoder:
    """Makes a frame; at most two blocks more than there are threads are held at once."""

    def __init__(
        self,
        model: Model,
        block_size: int,
        threads: int,
        content_size: int | None = None,
        progress: Ticker | None = None,
        dictionary: Dictionary | None = None,
    ) -> None:
        """content_size: for the header, if known. progress: called with numbers of bytes that are coded.

        Raises ValueError for a block size or a number of threads that cannot be.
        """
        container.check_block_size(block_size)
        self._model, self._block_size, self._content_size = model, block_size, content_size
        self._dictionary = None if dictionary is None else dictionary.fingerprint
        primed = None if dictionary is None else dictionary.primed(model)
        self._encode = functools.partial(_encode, model, primed, Meter(progress))
        self._rest = bytearray()  # of the content, a block at most: the last one may end the frame
        self._blocks: Queue[bytes, container.Block] = Queue(self._encode, threads)
        self._index: Index | None = None  # once there is more than one block

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Take more content; yields what is ready of the frame, all of which has to be taken."""
        yield from map(self._encoded, self._blocks.ready())
        data = memoryview(data)
        while data:
            if len(self._rest) == self._block_size:  # and something follows it
                yield from self._push(self._taken())
            part = data[: self._block_size - len(self._rest)]
            self._rest += part
            data = data[len(part) :]

    def flush(self) -> Iterator[bytes]:
        """All that was fed, the last block being a shorter one; the frame goes on."""
        if self._rest:
            yield from self._push(self._taken())
        yield from map(self._encoded, self._blocks.drain())

    def finish(self) -> Iterator[bytes]:
        """The rest of the frame, its end included."""
        if self._index is None:
            block = self._encode(bytes(self._rest))
            yield container.short_frame(self._model.fingerprint, block, self._dictionary)
            return
        yield from self.flush()
        self.close()
        yield self._index.to_bytes()

    def close(self) -> None:
        """Drop what is not finished."""
        self._blocks.close()

    def _taken(self) -> bytes:
        content = bytes(self._rest)
        self._rest.clear()
        return content

    def _push(self, content: bytes) -> Iterator[bytes]:
        if self._index is None:
            header = container.frame_header(
                self._model.fingerprint, self._block_size, self._content_size, self._dictionary
            )
            self._index = Index(len(header))
            yield header
        yield from map(self._encoded, self._blocks.push(content))

    def _encoded(self, block: container.Block) -> bytes:
        assert self._index is not None
        self._index.add(block)
        return container.encode_block(block)


def _encode(model: Model, primed: Primed | None, meter: Meter, content: bytes) -> container.Block:
    part = Part(meter, len(content), len(content))
    block = encode_block(model, content, part.tick, primed)
    part.finish()
    return block
