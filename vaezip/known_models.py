"""The models that are known, among which the one is found that a frame was made with."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from vaezip.data_files import MODELS, DataFile, shipped_files, user_files
from vaezip.errors import ModelError, ModelMismatchError
from vaezip.model import DEFAULT, Model, load_model

ModelLike = Model | str | os.PathLike[str] | None


class KnownModel(NamedTuple):
    """A model at hand, which need not be loaded."""

    name: str
    path: str
    fingerprint: bytes  # SHA-256 of the file
    size: int  # bytes of the file
    shipped: bool  # with the package


class Models(Protocol):
    """A source of the models that frames name."""

    def matching(self, fingerprint: bytes) -> Iterator[Model]:
        """Models whose fingerprint begins like that; raises ModelMismatchError if there is none."""


class ChosenModel(NamedTuple):
    """What the user says of the model: paths or names."""

    given: str | None = None  # to code with; a file to decode must be made with it
    usual: str | None = None  # where none is given: to code with, or one of those at hand

    @property
    def to_write(self) -> str | None:
        """The model to code with; None: the standard one."""
        return self.usual if self.given is None else self.given

    def to_read(self) -> str | Models:
        """The source for decoding: the given one alone, or else all at hand, the usual one among them."""
        return ModelsAtHand(self.usual) if self.given is None else self.given


def loaded(model: ModelLike) -> Model:
    """The model that is meant, by default the standard one; raises ModelError."""
    return model if isinstance(model, Model) else load_model(model)


def models(model: ModelLike | Models) -> Models:
    """The source for decoding: that model alone, or without one all that are at hand."""
    if model is None:
        return ModelsAtHand()
    if isinstance(model, (Model, str, os.PathLike)):
        return OneModel(model)
    if not hasattr(model, "matching"):
        raise TypeError(f"neither a model nor the name or path of one: {model!r}")
    return model


def known_models(usual: str | None = None) -> Iterator[KnownModel]:
    """The standard model, a usual one, by path or name, the shipped ones, those in the user's folders.

    The user's files that are no models are passed over.
    """
    seen = set()
    others = () if usual is None else (usual,)
    for which in (DEFAULT, *others, *shipped_files(MODELS), *user_files(MODELS).values()):
        try:
            with DataFile(which, MODELS) as file:
                path = shipped_files(MODELS).get(file.source, file.source)
                fingerprint = _fingerprint(path, file.version)
        except ModelError:
            if which in shipped_files(MODELS):
                raise
            continue
        if file.source not in seen:
            seen.add(file.source)
            yield KnownModel(file.name, path, fingerprint, file.size, file.source in shipped_files(MODELS))


@lru_cache(maxsize=1024)
def _fingerprint(path: str, version: tuple[int, ...]) -> bytes:
    """The fingerprint of a file, cached as long as the file stays as it is."""
    with DataFile(path, MODELS) as file:
        return hashlib.sha256(file.read()).digest()


class OneModel:
    """The model that the user has chosen; loaded when a block needs it."""

    def __init__(self, model: ModelLike) -> None:
        self._model = model

    def matching(self, fingerprint: bytes) -> Iterator[Model]:
        """See `Models`."""
        model = self._model = loaded(self._model)
        if not model.fingerprint.startswith(fingerprint):
            raise ModelMismatchError(
                f"made with another model: needs {fingerprint.hex()}…, "
                f"not {model.name} ({model.fingerprint[: len(fingerprint)].hex()}…)"
            )
        yield model


class ModelsAtHand:
    """All models that are known, each loaded when a block needs it."""

    def __init__(self, usual: str | None = None) -> None:
        """usual: that of VAEZIP_MODEL."""
        self._usual = usual
        self._lock = threading.Lock()
        self._found: dict[bytes, list[Model]] = {}
        self._searches: dict[bytes, Iterator[Model]] = {}
        self._unusable: dict[bytes, ModelError] = {}  # why a model that was found cannot be loaded

    def matching(self, fingerprint: bytes) -> Iterator[Model]:
        """See `Models`."""
        found = self._found.setdefault(fingerprint, [])
        count = 0
        while True:
            with self._lock:
                while count >= len(found) and (model := self._next(fingerprint)):
                    found.append(model)
                if count >= len(found):
                    break
                model = found[count]
            yield model
            count += 1
        if not found and (error := self._unusable.get(fingerprint)):
            raise ModelError(
                f"made with another model: needs {fingerprint.hex()}…, and the one at hand that begins so "
                f"cannot be used: {error}"
            ) from error
        if not found:
            raise ModelMismatchError(
                f"made with another model: needs {fingerprint.hex()}…, which is none of those at hand "
                f"(see vaezip models): give its file{self._trouble()}"
            )

    def _next(self, fingerprint: bytes) -> Model | None:
        """The next model that the search finds; where it fails, the next call begins it anew."""
        try:
            return next(self._searches.setdefault(fingerprint, self._search(fingerprint)), None)
        except BaseException:
            self._searches.pop(fingerprint, None)
            self._found[fingerprint].clear()
            self._unusable.pop(fingerprint, None)
            raise

    def _trouble(self) -> str:
        """What is wrong with the usual model, which nobody has been told so far."""
        try:
            loaded(self._usual)
        except ModelError as error:
            return f"; VAEZIP_MODEL: {error}"
        return ""

    def _search(self, fingerprint: bytes) -> Iterator[Model]:
        standard = load_model(DEFAULT)  # of most files: not read twice, for its fingerprint and to be loaded
        if standard.fingerprint.startswith(fingerprint):
            yield standard
        for known in known_models(self._usual):
            if known.fingerprint.startswith(fingerprint) and known.fingerprint != standard.fingerprint:
                try:
                    model = load_model(known.name if known.shipped else known.path)
                except ModelError as error:
                    if known.shipped:
                        raise
                    self._unusable.setdefault(fingerprint, error)
                    continue
                if model.fingerprint.startswith(fingerprint):  # the file may have changed
                    yield model
