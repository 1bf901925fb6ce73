"""`vaezip dict`, from samples to a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vaezip.byteio import ByteReader, ByteWriter
from vaezip.dictionaries.dictionary import make_dictionary
from vaezip.dictionaries.selection import choose_texts
from vaezip.errors import DictionaryError
from vaezip.fileio import opened
from vaezip.outputs import open_output

_MOST = 64 << 20  # bytes of samples that are read


class Made(NamedTuple):
    """What was made of what."""

    samples: int
    texts: int
    size: int  # bytes of the texts, with what ends each


def write_dictionary(
    sources: Sequence[str | None],
    target: str | None,
    size: int,
    whole_files: bool,
    overwrite: bool,
    others: Sequence[str] = (),
) -> Made:
    """Write a dictionary of so many bytes of text; None is standard input or output.

    whole_files: every file is a sample; else every line is one. others: files that are read besides, such as
    lists. Raises FileError, also if the target is one of those read, and DictionaryError if the samples are
    too few, or all too long.
    """
    with open_output(target, inputs=[*sources, *others], overwrite=overwrite) as sink:
        samples = [sample for sample in _samples(sources, whole_files) if sample]
        chosen = choose_texts(samples, size)
        if not chosen:
            what = "are longer than the dictionary (--size)" if samples else "are empty"
            raise DictionaryError(f"nothing to make a dictionary of: all samples {what}")
        dictionary = make_dictionary(chosen)
        ByteWriter(sink).write(dictionary.to_bytes())
    return Made(len(samples), len(chosen), len(dictionary.text))


def _samples(sources: Sequence[str | None], whole_files: bool) -> Iterator[bytes]:
    left = _MOST
    for source in sources:
        with opened(source, any_kind=True) as data:
            content = ByteReader(data).read_some(left)
        left -= len(content)
        yield from [content] if whole_files else content.split(b"\n")
