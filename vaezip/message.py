"""Message mode: a short text as a bare payload, for channels that frame and check what they carry.

The model reads a dictionary first, so that a message begins where others of its kind have ended. It is as
long as a number says, or goes on to the terminator, which the model expects where texts end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from zlib import crc32

import numpy as np

from vaezip.ans import quantise
from vaezip.armour import decode_armour, encode_armour
from vaezip.coder import PRECISION, TOTAL
from vaezip.dictionary import Dictionary, DictionaryLike, loaded_dictionary
from vaezip.errors import FormatError, IntegrityError, LimitError
from vaezip.known_models import ModelLike, loaded
from vaezip.priming import ROOM
from vaezip.range_coder import RangeDecoder, RangeEncoder

MAX_MESSAGE = 1 << 16
"""Bytes of the longest message."""
_RAW = 255  # first byte of a message that is as it was
_LINE = 4  # of 256: how likely a text ends with the terminator, and has no other
_BYTE = TOTAL >> 8  # how wide the interval of one of 256 equally likely values is
_SIZE_BITS = (1, 1, 2, 4, 8, 12, 12, 8, 4, 3, 2, 2, 1, 1, 1, 1, 1)  # how likely a size has 1, 2 … bits
_SIZE_WEIGHT = 20  # of a text of the dictionary, against these

_NONE = Dictionary(b"\n", ord("\n"), 200)  # without one, a message is as if it began a line

Interval = tuple[int, int]  # where it begins, of 2**24, and how wide it is


class MessageCodec:
    """Encodes short texts with what a model knows, and what a dictionary has taught it.

    Safe to use from several threads; a pickled one finds its model again as a pickled Model does.
    """

    def __init__(
        self, model: ModelLike = None, dictionary: DictionaryLike = None, *, check_bytes: int = 0
    ) -> None:
        """model: as in `compress`. dictionary: of texts of that kind, or the path or name of one.

        check_bytes: 0 to 4 bytes of a checksum, for channels that do not check what they carry. Both sides
        need the same three. Raises ModelError, DictionaryError, ValueError.
        """
        if not 0 <= check_bytes <= 4:
            raise ValueError("check_bytes must be 0 to 4")
        self._model = loaded(model)
        self._dictionary = _NONE if dictionary is None else loaded_dictionary(dictionary)
        self._check_bytes = check_bytes
        self._primed = self._dictionary.primed(self._model)
        self._ended = 0, self._dictionary.ended * _BYTE
        self._line = self._ended[1], _LINE * _BYTE
        self._counted = sum(self._line), _RAW * _BYTE - sum(self._line)
        self._size_bits = _size_bits(self._dictionary)

    def __reduce__(self) -> tuple[object, ...]:
        return _codec, (self._model, self._dictionary, self._check_bytes)

    def encode(self, data: bytes | bytearray | memoryview) -> bytes:
        """The message for a text; that for b"" is b"". At most one byte longer than the text.

        Raises LimitError for a text of more than 65536 bytes.
        """
        data = bytes(data)
        if not data:
            return b""
        if len(data) > MAX_MESSAGE:
            raise LimitError(f"a message has {MAX_MESSAGE} bytes at most; compress() is for longer texts")
        end = bytes([self._dictionary.terminator])
        line = data if data.endswith(end) else data + end
        may_end = len(line) <= ROOM and line.count(end) == 1
        with self._primed.predictor(len(line)) as predictor:
            text = predictor.encode(np.frombuffer(line if may_end else data, np.uint8)).tolist()
        ways = [[self._counted, *self._size(len(data)), *text[: len(data)]]]
        if may_end:
            ways.append([self._line if line == data else self._ended, *text])
        check = self._check(data)
        encoder = RangeEncoder()
        encoder.push_all(min(ways, key=_bits))
        encoder.push_all([(byte * _BYTE, _BYTE) for byte in check])
        coded = encoder.to_bytes()
        return coded if len(coded) <= len(data) + len(check) else bytes([_RAW]) + data + check

    def encode_text(self, data: bytes | bytearray | memoryview, armour: str = "base64url") -> str:
        """The message as letters: base64url for URLs, or base45 for QR codes; raises as `encode`."""
        return encode_armour(self.encode(data), armour)

    def decode_text(self, message: str, armour: str = "base64url") -> bytes:
        """Inverse of `encode_text`; raises as `decode`, and FormatError for other letters."""
        return self.decode(decode_armour(message, armour))

    def decode(self, message: bytes | bytearray | memoryview) -> bytes:
        """Inverse of `encode`.

        Raises FormatError for what cannot be a message, IntegrityError if the checksum disagrees. Without
        one, a damaged message gives another text, of 65536 bytes at most.
        """
        message = bytes(message)
        if not message:
            return b""
        if message[0] == _RAW:
            at = len(message) - self._check_bytes
            if at < 1:
                raise FormatError("damaged message: too short")
            data, check = message[1:at], message[at:]
        else:
            decoder = RangeDecoder(message)
            data = self._text(decoder)
            check = bytes(_pop_byte(decoder) for _ in range(self._check_bytes))
        if check != self._check(data):
            raise IntegrityError(
                "checksum mismatch: the message is damaged, or has another dictionary or model"
            )
        return data

    def _text(self, decoder: RangeDecoder) -> bytes:
        is_line, size = self._pop_size(decoder)
        text, most, end = bytearray(), ROOM if size is None else size, self._dictionary.terminator
        with self._primed.predictor(most) as predictor:
            while len(text) < most:
                quantile = decoder.quantile()
                byte, row = predictor.find(quantile)
                below, width = int(row[0]) + 1, int(row[1]) + 1
                if not below <= quantile < below + width:
                    raise FormatError("damaged message: no text is coded like that")
                decoder.pop(below, width)
                text.append(byte)
                if size is None and byte == end:
                    return bytes(text if is_line else text[:-1])
        if size is None:
            raise FormatError("damaged message: it does not end")
        return bytes(text)

    def _pop_size(self, decoder: RangeDecoder) -> tuple[bool, int | None]:
        """Whether the terminator is part of the text, and bytes of the text; None if it goes on to there."""
        quantile = decoder.quantile()
        if quantile < self._counted[0]:
            is_line = quantile >= self._line[0]
            decoder.pop(*(self._line if is_line else self._ended))
            return is_line, None
        decoder.pop(*self._counted)
        quantile = decoder.quantile()
        bits = next(i for i, (below, _) in enumerate([*self._size_bits[1:], (TOTAL, 0)]) if quantile < below)
        decoder.pop(*self._size_bits[bits])
        shift = PRECISION - bits
        low = decoder.quantile() >> shift
        decoder.pop(low << shift, 1 << shift)
        if (size := 1 << bits | low) > MAX_MESSAGE:
            raise FormatError("damaged message: longer than any message")
        return False, size

    def _size(self, size: int) -> list[Interval]:
        """How many bits follow the highest one of a size, and these."""
        bits = size.bit_length() - 1
        shift = PRECISION - bits
        return [self._size_bits[bits], ((size ^ 1 << bits) << shift, 1 << shift)]

    def _check(self, data: bytes) -> bytes:
        return crc32(data).to_bytes(4, "little")[: self._check_bytes]


def _size_bits(dictionary: Dictionary) -> list[Interval]:
    """The intervals of numbers of bits, learned from the dictionary's texts."""
    weights = np.array([_SIZE_BITS], np.int64)
    for text in dictionary.texts():
        weights[0, min(len(text), MAX_MESSAGE).bit_length() - 1 if text else 0] += _SIZE_WEIGHT
    widths = quantise(weights)[0]
    below = np.cumsum(widths) - widths
    return list(zip(below.tolist(), widths.tolist(), strict=True))


def _bits(intervals: Sequence[Interval]) -> float:
    """What they cost."""
    return -sum(math.log2(width / TOTAL) for _, width in intervals)


def _pop_byte(decoder: RangeDecoder) -> int:
    value = decoder.quantile() // _BYTE
    decoder.pop(value * _BYTE, _BYTE)
    return value


def _codec(model: ModelLike, dictionary: DictionaryLike, check_bytes: int) -> MessageCodec:
    return MessageCodec(model, dictionary, check_bytes=check_bytes)
