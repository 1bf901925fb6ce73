"""The models and dictionaries at hand, among which a decoder finds those that a frame was made with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vaezip.container import Header
from vaezip.dictionaries.dictionary import DictionaryLike
from vaezip.dictionaries.known import Dictionaries, dictionaries
from vaezip.dictionaries.priming import Primed
from vaezip.known_models import ModelLike, Models, models
from vaezip.model import Model


class AtHand(NamedTuple):
    """A source of the models and dictionaries that frames name."""

    models: Models
    dictionaries: Dictionaries

    @classmethod
    def of(cls, model: ModelLike | Models, dictionary: DictionaryLike) -> AtHand:
        """The source for decoding: the model and the dictionary that are given, or else all at hand."""
        return cls(models(model), dictionaries(dictionary))

    def matching(self, header: Header) -> Iterator[tuple[Model, Primed | None]]:
        """Models, and what they have read, that may be those of a frame; there is one at least.

        Raises ModelMismatchError, DictionaryError.
        """
        for model in self.models.matching(header.fingerprint):
            if header.dictionary is None:
                yield model, None
            else:
                for dictionary in self.dictionaries.matching(header.dictionary):
                    yield model, dictionary.primed(model)
