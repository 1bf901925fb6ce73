"""Which dictionary a frame was made with: the one given, or that of its fingerprint among all at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

from vaezip.data_files import DICTIONARIES, user_files
from vaezip.dictionaries.dictionary import Dictionary, DictionaryLike, load_dictionary, loaded_dictionary
from vaezip.errors import DictionaryError


class Dictionaries(Protocol):
    """Where a decoder finds the dictionaries that frames name."""

    def matching(self, fingerprint: bytes) -> Iterator[Dictionary]:
        """Those whose fingerprint begins like that; raises DictionaryError if there is none."""


def dictionaries(dictionary: DictionaryLike) -> Dictionaries:
    """For decoding: that dictionary alone, or without one all that are at hand; raises DictionaryError."""
    if dictionary is None:
        return DictionariesAtHand()
    return OneDictionary(loaded_dictionary(dictionary))


class KnownDictionary(NamedTuple):
    """A dictionary at hand."""

    name: str
    path: str
    fingerprint: bytes
    size: int  # bytes of the file
    dictionary: Dictionary


def known_dictionaries() -> Iterator[KnownDictionary]:
    """Those in the user's folders; files in them that are no dictionaries are passed over."""
    for path in user_files(DICTIONARIES).values():
        with suppress(DictionaryError, OSError):
            dictionary = load_dictionary(path)
            size = os.stat(path).st_size
            yield KnownDictionary(dictionary.name, path, dictionary.fingerprint, size, dictionary)


class OneDictionary:
    """The dictionary that the user has chosen."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary

    def matching(self, fingerprint: bytes) -> Iterator[Dictionary]:
        """See `Dictionaries`."""
        dictionary = self._dictionary
        if not dictionary.fingerprint.startswith(fingerprint):
            raise DictionaryError(
                f"made with another dictionary: needs {fingerprint.hex()}…, "
                f"not {dictionary.name} ({dictionary.fingerprint[: len(fingerprint)].hex()}…)"
            )
        yield dictionary


class DictionariesAtHand:
    """All dictionaries that are known; looked for once for each fingerprint."""

    def __init__(self) -> None:
        self._found: dict[bytes, list[Dictionary]] = {}

    def matching(self, fingerprint: bytes) -> Iterator[Dictionary]:
        """See `Dictionaries`."""
        found = self._found.get(fingerprint)
        if found is None:  # two threads may find the same
            known = known_dictionaries()
            found = [one.dictionary for one in known if one.fingerprint.startswith(fingerprint)]
            self._found[fingerprint] = found
        if not found:
            raise DictionaryError(
                f"made with a dictionary: needs {fingerprint.hex()}…, which is none of those at hand: "
                "give its file"
            )
        yield from found
