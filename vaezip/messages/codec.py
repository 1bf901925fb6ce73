"""Message mode: a short text as a bare payload, for channels that frame and check what they carry."""

from __future__ import annotations

from zlib import crc32

from vaezip.arguments import Buffer, buffer, whole_number
from vaezip.dictionaries.dictionary import DictionaryLike, loaded_dictionary
from vaezip.errors import FormatError, IntegrityError, LimitError
from vaezip.known_models import ModelLike, loaded
from vaezip.messages.armour import decode_armour, encode_armour
from vaezip.messages.range_coder import RangeDecoder, RangeEncoder
from vaezip.messages.texts import BYTE, MAX_TEXT, NO_DICTIONARY, TextCoder

_RAW = 255  # first byte of a message that is as it was


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
        if not 0 <= whole_number(check_bytes, "check_bytes") <= 4:
            raise ValueError("check_bytes must be 0 to 4")
        self._model = loaded(model)
        self._dictionary = NO_DICTIONARY if dictionary is None else loaded_dictionary(dictionary)
        self._check_bytes = check_bytes
        self._primed = self._dictionary.primed(self._model)
        self._texts = TextCoder(self._dictionary)

    def __reduce__(self) -> tuple[object, ...]:
        return _codec, (self._model, self._dictionary, self._check_bytes)

    def encode(self, data: Buffer) -> bytes:
        """The message for a text; that for b"" is b"". At most one byte longer than text and check.

        Raises LimitError for a text of more than 65536 bytes.
        """
        data = bytes(buffer(data))
        if not data:
            return b""
        if len(data) > MAX_TEXT:
            raise LimitError(f"a message has {MAX_TEXT} bytes at most; frames have no such limit")
        with self._primed.predictor() as predictor:
            symbols = self._texts.symbols(predictor, data)
        check = self._check(data)
        encoder = RangeEncoder()
        encoder.push_all(symbols)
        encoder.push_all([(byte * BYTE, BYTE) for byte in check])
        coded = encoder.to_bytes()
        return coded if len(coded) <= len(data) + len(check) else bytes([_RAW]) + data + check

    def encode_text(self, data: Buffer, armour: str = "base64url") -> str:
        """The message as letters: base64url for URLs, or base45 for QR codes; raises as `encode`."""
        return encode_armour(self.encode(data), armour)

    def decode_text(self, message: str, armour: str = "base64url") -> bytes:
        """Inverse of `encode_text`; raises as `decode`, and FormatError for other letters."""
        return self.decode(decode_armour(message, armour))

    def decode(self, message: Buffer) -> bytes:
        """Inverse of `encode`.

        Raises FormatError for what cannot be a message, IntegrityError if the checksum disagrees. Without
        one, a damaged message gives another text, of 65536 bytes at most.
        """
        message = bytes(buffer(message))
        if not message:
            return b""
        if message[0] == _RAW:
            at = len(message) - self._check_bytes
            if at < 1:
                raise FormatError("damaged message: too short")
            data, check = message[1:at], message[at:]
            if len(data) > MAX_TEXT:
                raise FormatError("damaged message: longer than any message")
        else:
            decoder = RangeDecoder(message)
            with self._primed.predictor() as predictor:
                data = self._texts.pop(predictor, decoder, MAX_TEXT)
            check = bytes(_pop_byte(decoder) for _ in range(self._check_bytes))
            decoder.check_end()
        if not data:
            raise FormatError("damaged message: a text of no bytes is a message of none")
        if check != self._check(data):
            raise IntegrityError(
                "checksum mismatch: the message is damaged, or has another dictionary or model"
            )
        return data

    def _check(self, data: bytes) -> bytes:
        return crc32(data).to_bytes(4, "little")[: self._check_bytes]


def _pop_byte(decoder: RangeDecoder) -> int:
    value = decoder.quantile() // BYTE
    decoder.pop(value * BYTE, BYTE)
    return value


def _codec(model: ModelLike, dictionary: DictionaryLike, check_bytes: int) -> MessageCodec:
    return MessageCodec(model, dictionary, check_bytes=check_bytes)
