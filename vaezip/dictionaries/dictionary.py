"""Dictionaries: texts of one kind, which a model reads before it codes another one of that kind."""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from weakref import WeakKeyDictionary

from vaezip.arguments import Buffer, buffer, whole_number
from vaezip.data_files import DICTIONARIES, DataFile
from vaezip.dictionaries.priming import Primed
from vaezip.errors import DictionaryError, one_line
from vaezip.model import Model

MAX_DICTIONARY = 256 << 10
"""Bytes of a dictionary's text: reading them takes about as many seconds as they have hundreds of KB."""
_MAGIC = b"\xf5vzd\x01"
_TERMINATORS = (0x0A, 0x00, 0x1E)
_OF, _MOST_ENDED = 256, 250  # what `ended` is a share of; what is left is for other texts


@dataclass(frozen=True, eq=False, repr=False)
class Dictionary:
    """Texts, each followed by the same byte, and what they say of others of their kind.

    Those of one content are equal, whatever their names.
    """

    text: bytes
    """The texts, each with the terminator after it."""
    terminator: int
    """That byte: one that the texts themselves seldom have, a newline if possible."""
    ended: int
    """How likely it is that a text does not have it, in 256ths: 1 to 250."""
    name: str = "dictionary"
    _primed: WeakKeyDictionary[Model, dict[str, Primed]] = field(
        default_factory=WeakKeyDictionary, init=False
    )  # by engine
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be stored, TypeError for what is of another kind."""
        if not isinstance(self.name, str):
            raise TypeError(f"the name of a dictionary must be a str, not {type(self.name).__name__}")
        if not isinstance(self.text, bytes):
            raise TypeError(f"the text of a dictionary must be bytes, not {type(self.text).__name__}")
        whole_number(self.terminator, "terminator")
        if not self.text.endswith(bytes([self.terminator])) or len(self.text) > MAX_DICTIONARY:
            raise ValueError(
                f"a dictionary has a text of up to {MAX_DICTIONARY} bytes that ends with its terminator"
            )
        if not 1 <= whole_number(self.ended, "ended") <= _MOST_ENDED:
            raise ValueError(f"ended must be 1 to {_MOST_ENDED}")

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of what it says, however it is stored."""
        return hashlib.sha256(self._parameters() + self.text).digest()

    def texts(self) -> list[bytes]:
        """The texts without the terminators; one that has it in it counts as several."""
        return self.text.split(bytes([self.terminator]))[:-1]

    def primed(self, model: Model) -> Primed:
        """The model after reading the texts, kept for all that need it, as long as there is the model."""
        with self._lock:
            by_engine = self._primed.setdefault(model, {})
            primed = by_engine.get(model.engine.name)
            if primed is None:
                primed = by_engine[model.engine.name] = Primed(model, self.text)
            return primed

    def to_bytes(self) -> bytes:
        """The bytes of a dictionary file."""
        body = _MAGIC + self._parameters() + zlib.compress(self.text, 9)
        return body + zlib.crc32(body).to_bytes(4, "little")

    @classmethod
    def from_bytes(cls, data: Buffer, name: str = "dictionary") -> Dictionary:
        """Inverse of `to_bytes`; raises DictionaryError for what no dictionary file has."""
        data = bytes(buffer(data))
        body, check = data[:-4], data[-4:]
        if not body.startswith(_MAGIC[:-1]):
            raise DictionaryError("not a dictionary of vaezip's")
        if not body.startswith(_MAGIC):
            raise DictionaryError("made by a newer vaezip")
        damaged = DictionaryError("the dictionary is damaged")
        if zlib.crc32(body).to_bytes(4, "little") != check or len(body) < len(_MAGIC) + 2:
            raise damaged
        terminator, ended = body[len(_MAGIC) : len(_MAGIC) + 2]
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(body[len(_MAGIC) + 2 :], MAX_DICTIONARY + 1)
        except zlib.error as error:
            raise damaged from error
        if not inflater.eof or inflater.unused_data:
            raise damaged
        try:
            return cls(text, terminator, ended, name)
        except ValueError as error:
            raise damaged from error

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Dictionary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        """Without the texts, which may be many, and secret."""
        beginning = self.fingerprint[:4].hex()
        return f"<Dictionary {self.name!r}, {len(self.text)} bytes of text, fingerprint {beginning}…>"

    def _parameters(self) -> bytes:
        return bytes([self.terminator, self.ended])

    def __reduce__(self) -> tuple[object, ...]:
        return Dictionary, (self.text, self.terminator, self.ended, self.name)


DictionaryLike = Dictionary | str | os.PathLike[str] | None


def make_dictionary(texts: Iterable[Buffer], name: str = "dictionary") -> Dictionary:
    """Of texts in the order in which they are to be read: the last ones are remembered best.

    Raises DictionaryError if there are none, or too many.
    """
    contents = [bytes(buffer(text)) for text in texts]
    if not contents:
        raise DictionaryError("a dictionary needs texts")
    having = {byte: sum(byte in text for text in contents) for byte in _TERMINATORS}
    terminator = min(_TERMINATORS, key=lambda byte: having[byte])
    end = bytes([terminator])
    text = b"".join(text + end for text in contents)
    if len(text) > MAX_DICTIONARY:
        raise DictionaryError(f"a dictionary has {MAX_DICTIONARY} bytes of text at most, not {len(text)}")
    others = having[terminator] + 1
    ended = max(1, min(_MOST_ENDED, (len(contents) + 2 - others) * _OF // (len(contents) + 2)))
    return Dictionary(text, terminator, ended, name)


def load_dictionary(which: str | os.PathLike[str]) -> Dictionary:
    """From a file, or by the name of one that lies in the user's folders.

    Raises DictionaryError.
    """
    with DataFile(which, DICTIONARIES) as file:
        return _parsed(file.read(), file.name, os.fspath(which))


@lru_cache(maxsize=8)
def _parsed(data: bytes, name: str, path: str) -> Dictionary:
    """The same one for the same file, since it keeps what a model has read; errors have its path."""
    try:
        return Dictionary.from_bytes(data, name)
    except DictionaryError as error:
        raise DictionaryError(one_line(f"{path}: {error}")) from error


def loaded_dictionary(dictionary: Dictionary | str | os.PathLike[str]) -> Dictionary:
    """The dictionary that is meant; raises DictionaryError."""
    return dictionary if isinstance(dictionary, Dictionary) else load_dictionary(dictionary)
