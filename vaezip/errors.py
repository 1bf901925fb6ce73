"""Every error that vaezip raises on purpose.

VaezipError                 exit code 1, as every error of xz and gzip
├── FormatError             not a .vz file, or a damaged structure
│   ├── TruncatedError      the input ends too early
│   └── VersionError        written by a newer vaezip
├── IntegrityError          decoded, but the checksum disagrees
├── LimitError              larger or more than allowed: output, blocks, texts
├── ModelError              not a usable model file
│   └── ModelMismatchError  the file was made with another model
├── DictionaryError         not a usable dictionary, or none where one is needed
├── CorpusError             nothing, or too little, to train on
├── CheckpointError         a training run cannot be resumed from what it left
├── FileError               a file cannot be read, written or replaced
│   └── SkippedError        a file was passed over without harm: a warning, exit code 2
├── DeviceError             a GPU, or another process, to train with is not there
├── EngineError             VAEZIP_ENGINE names one that does not run here, or the kernel is of other sources
└── MissingExtraError       an optional package is not installed

What is wrong with a file's content is an OSError as well, as with gzip, and an EOFError if the file ends too
early; so is a model that cannot be read an OSError.
"""

from __future__ import annotations

_SHOWN = 240  # characters of either end of an error's text


def printable(text: str) -> str:
    """`text` in one line: what is no visible character, as it may be in a file's name, is escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # of a name that is not UTF-8 (PEP 383)
    return f"\\x{byte:02x}" if 128 <= byte < 256 else repr(character)[1:-1]


def one_line(text: str) -> str:
    """The text, as far as it fits into one line of a message: a file may say anything, at any length."""
    if len(text) > 2 * _SHOWN:
        text = f"{text[:_SHOWN]} … {text[-_SHOWN:]}"
    return printable(text)


class VaezipError(Exception):
    """Root of the tree; its text is one line, fit for a user."""

    exit_code = 1
    names_file = False  # whether the text begins with the name of the file concerned

    def __str__(self) -> str:
        return printable(super().__str__())


class FormatError(VaezipError, OSError):
    """The input is not a .vz file, or its structure is damaged."""


class TruncatedError(FormatError, EOFError):
    """The input ends before the frame does."""


class VersionError(FormatError):
    """The frame needs a newer version of vaezip."""


class IntegrityError(VaezipError, OSError):
    """The decoded bytes do not have the checksum that was stored."""


class LimitError(VaezipError):
    """Something is larger than is allowed, or there is more of it.

    The output, of which the caller says how large it may be; blocks above 16 MiB; messages and records above
    64 KB; blocks of a frame, segments of a pack, and names of its records.
    """


class ModelError(VaezipError, OSError):
    """The file is not a model, or breaks a bound that exactness rests on."""


class ModelMismatchError(ModelError):
    """The frame was made with another model than the one given."""


class DictionaryError(VaezipError, OSError):
    """The file is not a dictionary, or the one that is needed is not at hand."""


class CorpusError(VaezipError):
    """There is nothing, or too little, to train on."""


class CheckpointError(VaezipError):
    """A run's checkpoint is missing or damaged, or the run has other settings than those given."""


class FileError(VaezipError):
    """A file cannot be read, written or replaced."""

    names_file = True


class SkippedError(FileError):
    """A file was passed over without harm, a directory for example."""

    exit_code = 2


class DeviceError(VaezipError):
    """A GPU, or another process, to train with is not there."""


class EngineError(VaezipError):
    """VAEZIP_ENGINE names an engine that does not run here, or the kernel was built of other sources."""


class MissingExtraError(VaezipError):
    """An optional package is not installed."""
