"""Records as bytes: some together by the range coder, or a set on an ANS stack."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from zlib import crc32

from vaezip.byteio import ByteReader
from vaezip.container import read_blocks, read_header
from vaezip.dictionaries.dictionary import MAX_DICTIONARY, Dictionary, DictionaryLike
from vaezip.dictionaries.known import dictionaries
from vaezip.errors import FormatError, LimitError, VaezipError
from vaezip.known_models import ModelLike, Models, models
from vaezip.messages.range_coder import RangeDecoder, RangeEncoder
from vaezip.messages.texts import MAX_TEXT, NO_DICTIONARY, Decoder, Interval, TextCoder
from vaezip.meter import Ticker
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model
from vaezip.pack.layout import Header
from vaezip.pack.unordered import Record, StackDecoder, decode_set, encode_set, room
from vaezip.stream import decompress


def too_long(records: Iterable[Record]) -> bool:
    """Whether records have more bytes than can be coded together."""
    return sum(map(room, records)) > MAX_TEXT + 1  # the last text has nothing behind it


class RecordCoder:
    """Records to bytes and back, some of them together."""

    def __init__(self, model: Model, dictionary: Dictionary | None, texts_per_record: int) -> None:
        dictionary = NO_DICTIONARY if dictionary is None else dictionary
        self._end = bytes([dictionary.terminator])
        self._primed, self._texts = dictionary.primed(model), TextCoder(dictionary)
        self._texts_per_record = texts_per_record

    def encode(self, records: Sequence[Record]) -> bytes:
        """The payload of a group, which is not `too_long`."""
        encoder = RangeEncoder()
        for symbols in self._symbols(records):
            encoder.push_all(symbols)
        return encoder.to_bytes()

    def decode(self, payload: bytes, count: int) -> list[Record]:
        """Inverse of `encode`, of so many records; raises FormatError."""
        size, decoder = self._texts_per_record, RangeDecoder(payload)
        with self._primed.predictor() as predictor:
            texts = self._pop(predictor, decoder, count * size)
        decoder.check_end()
        return [tuple(texts[at : at + size]) for at in range(0, len(texts), size)]

    def decode_texts(self, payload: bytes, count: int) -> list[bytes]:
        """The first texts of a group: names and contents; raises FormatError."""
        with self._primed.predictor() as predictor:
            return self._pop(predictor, RangeDecoder(payload), count)

    def check(self, records: Iterable[Record], check: int = 0) -> int:
        """CRC-32 of all texts, the terminator after each. check: that of the records before them."""
        for record in records:
            check = crc32(self._end.join((*record, b"")), check)
        return check

    def encode_set(self, records: Sequence[Record], tick: Ticker = lambda _: None) -> bytes:
        """Of records whose order does not matter, none `too_long`; tick: called with 1 for each."""

        def symbols(record: Record) -> list[Interval]:
            tick(1)
            return list(itertools.chain(*self._symbols([record])))

        return encode_set(records, symbols)

    def decode_set(self, data: bytes, count: int, most: int) -> list[Record]:
        """Inverse of `encode_set`, in an order of their own.

        Raises FormatError, and LimitError as soon as there are more than `most` bytes, as `room` counts.
        """
        left = most

        def pop(decoder: StackDecoder) -> Record:
            nonlocal left
            with self._primed.predictor() as predictor:
                record = self._pop(predictor, decoder, self._texts_per_record)
            left -= room(record)
            if left < 0:
                raise LimitError(f"the records have more than {most} bytes")
            return tuple(record)

        return decode_set(data, count, pop)

    def _pop(self, predictor: Predictor, decoder: Decoder, count: int) -> list[bytes]:
        texts, left = list[bytes](), MAX_TEXT
        for _ in range(count):
            texts.append(self._texts.pop(predictor, decoder, left))
            left -= len(texts[-1]) + 1
        return texts

    def _symbols(self, records: Sequence[Record]) -> list[list[Interval]]:
        with self._primed.predictor() as predictor:
            return [self._texts.symbols(predictor, text) for text in itertools.chain(*records)]


def _check_alone(data: bytes) -> None:
    """Raise FormatError unless the data are one frame, and it needs no dictionary."""
    reader = ByteReader(io.BytesIO(data))
    frame = read_header(reader)
    if frame is None or not frame.fingerprint or frame.dictionary is not None:
        raise FormatError("not a frame that needs nothing but a model")
    for _ in read_blocks(reader, frame):
        pass
    if reader.position != len(data):
        raise FormatError("something follows the frame")


def record_coder(
    header: Header, model: ModelLike | Models = None, dictionary: DictionaryLike = None
) -> RecordCoder:
    """For the records of a pack; raises ModelMismatchError, DictionaryError, FormatError."""
    model = next(models(model).matching(header.fingerprint))
    read: Dictionary | None = None
    if header.external:
        read = next(dictionaries(dictionary).matching(header.external))
    elif header.dictionary:
        try:
            _check_alone(header.dictionary)
            text = decompress(header.dictionary, model=model, max_output_size=MAX_DICTIONARY)
            read = Dictionary(text, header.terminator, header.ended)
        except (VaezipError, ValueError) as error:
            raise FormatError("damaged pack: its dictionary") from error
    return RecordCoder(model, read, header.texts_per_record)
