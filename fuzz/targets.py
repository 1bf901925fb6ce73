"""Targets: one function for each kind of input, which checks what must hold for any.

Each target takes bytes and says in a word what became of them. The property: nothing but a VaezipError comes
out, its text one line, whatever goes in; no more output than was allowed; and every engine gives the same
answer. Anything else is raised: a ViolationError, or what vaezip raised. Those who run the targets bound time
and memory.

frames     the bytes of a file, decompressed with the tiny model of the tests
payloads   size, flags, method and preset (the first five bytes) and payload of one coded block
texts      a dictionary, a message, a pack, or what a pack's segment holds, as the first byte says
models     a model file; the first byte says whether the rest is that, or how the tiny one's header or
           tensors are changed (`changes.py`): of tensors, the self-test is made right again
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable
from functools import partial
from itertools import islice
from zlib import crc32

import numpy as np
from changes import PIECE, TINY, change, opened, with_header

from vaezip import bitsback, container, stream
from vaezip.byteio import ByteReader
from vaezip.dictionaries.dictionary import Dictionary, make_dictionary
from vaezip.engine import REFERENCE, Engine, available
from vaezip.errors import ModelError, VaezipError
from vaezip.listing import list_frames
from vaezip.messages.codec import MessageCodec
from vaezip.mixing.parameters import PRESETS
from vaezip.mixing.predictor import Reference
from vaezip.model import Model, load_model, parse_model, self_test_value, serialise
from vaezip.network.architecture import Architecture
from vaezip.pack.coder import record_coder
from vaezip.pack.layout import Header, new_segment, ordered_body, pack_bytes, read_header
from vaezip.pack.packing import pack_records
from vaezip.pack.records import Records
from vaezip.tensors import write_tensors

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

MOST = 1 << 14  # bytes that a frame may decode to
TEXT = "Any text: 12, 12, for 日本. Any text".encode()
_REFERENCE_BYTES = 24  # the reference is not asked about more: it takes three milliseconds for each
_LONGEST_ERROR = 1000  # characters
_MOST_RECORDS = 20  # that are decoded of a pack: each may have 64 KB

Answer = tuple[str, bytes]  # "decoded" and the content, or the class of an error and its text


class ViolationError(AssertionError):
    """Engines disagree, or what was accepted does not work."""


def engines(model: Model) -> dict[str, Model]:
    """A model with every engine that runs here, the reference last."""
    models = {}
    for name in available():
        if name == REFERENCE:
            reference = Reference(model.decoder, model.mixer)
            engine = Engine(name, reference.predictor, reference.comparison, reference.decode_ans)
        else:
            from vaezip.kernel.predictor import Kernel

            kernel = Kernel(model.decoder, model.mixer, name)
            engine = Engine(name, kernel.predictor, kernel.comparison, kernel.decode_ans)
        models[name] = dataclasses.replace(model, engine=engine)
    return models


TINY_MODELS = engines(load_model(TINY))
FASTEST = next(iter(TINY_MODELS.values()))
CODEC = MessageCodec(FASTEST)
SKIPPABLE = TINY.parent / "format-1-skippable.vz"


def answer(action: Callable[[], bytes]) -> Answer:
    """The answer of an action, a VaezipError being one like any other."""
    try:
        return "decoded", action()
    except VaezipError as error:
        text = str(error)
        if not text.isprintable() or len(text) > _LONGEST_ERROR:
            raise ViolationError(f"an error of more than a line: {text[:_LONGEST_ERROR]!r}") from error
        return type(error).__name__, text.encode()


def agreed(
    action: Callable[[Model], bytes], size: int, *, ask_others: bool = True, ask_reference: bool = True
) -> Answer:
    """The answer that an action on `size` bytes gets from the fastest engine and others that are asked."""
    fastest, *others = TINY_MODELS
    asked = [fastest]
    if ask_others:
        ask_reference = ask_reference and size <= _REFERENCE_BYTES
        asked += [name for name in others if name != REFERENCE or ask_reference]
    answers = {name: answer(partial(action, TINY_MODELS[name])) for name in asked}
    if len(set(answers.values())) != 1:
        raise ViolationError(f"engines disagree: {answers}")
    return answers[asked[0]]


def decoded(data: bytes, *, ask_others: bool = True, ask_reference: bool = True) -> Answer:
    """The content of a frame."""
    found = agreed(
        lambda model: stream.decompress(data, model=model, max_output_size=MOST),
        _claimed_size(data),
        ask_others=ask_others,
        ask_reference=ask_reference,
    )
    if found[0] == "decoded" and len(found[1]) > MOST:
        raise ViolationError("more output than was allowed")
    return found


def _claimed_size(data: bytes) -> int:
    """The claimed size of the blocks before the first damage to a header."""
    reader, size = ByteReader(io.BytesIO(data)), 0
    try:
        while (header := container.read_header(reader)) is not None:
            for block in container.read_blocks(reader, header):
                size += block.size
    except VaezipError:
        pass
    return size


def _is_chosen(data: bytes) -> bool:
    """True for one input in sixteen, which the slow reference decodes, too."""
    return crc32(data) % 16 == 0


def frames(data: bytes) -> str:
    """Any bytes as a `.vz` file."""
    return decoded(data, ask_reference=_is_chosen(data))[0]


def payloads(data: bytes) -> str:
    """Any bytes as one coded block."""
    head, payload = data[:5].ljust(5, b"\0"), data[5:]
    long = head[2] & 1
    size = int.from_bytes(head[:2], "little") % 600 if long else head[0] % (_REFERENCE_BYTES + 1)
    method = container.Method.VAE if head[3] & 1 else container.Method.VAE_NULL
    block = container.Block(method, size, payload, head[4] % PRESETS)

    def decode(model: Model) -> bytes:
        return bitsback.decode(model, block)

    return agreed(decode, size, ask_reference=_is_chosen(data))[0]


def texts(data: bytes) -> str:
    """Any bytes as a dictionary, a message, a pack, or the body of a pack's segment."""
    kind, rest = (data[0] % 4 if data else 0), data[1:]
    ways: list[Callable[[], bytes]] = [
        lambda: Dictionary.from_bytes(rest).text,
        lambda: CODEC.decode(rest),
        lambda: _records(rest),
        lambda: _records(_pack_of(rest)),
    ]
    return answer(ways[kind])[0]


def _records(data: bytes) -> bytes:
    return b"".join(islice(Records(io.BytesIO(data), model=FASTEST, max_segment_size=MOST), _MOST_RECORDS))


def _pack_of(data: bytes) -> bytes:
    """A pack of one segment, whose checks are right, but for that of its records.

    data: how many records (1 byte), flags (1), and the body.
    """
    count, flags, body = data[0] if data else 0, data[1] % 4 if len(data) > 1 else 0, data[2:]
    return b"".join(pack_bytes(_header(flags, (1, 2, 1, 1)[flags]), [new_segment(count, body, 0)]))


def _header(flags: int, group: int) -> Header:
    empty = read_header(io.BytesIO(pack_records([], model=FASTEST)))
    return dataclasses.replace(empty, flags=flags, group=group, separator=0)


def models(data: bytes) -> str:
    """Any bytes as a model file, or as a change of one."""
    how, rest = (data[0] % 3 if data else 0), data[1:]
    if how == 2:
        return tensors(rest)
    return _checked(partial(parse_model, rest if how == 0 else with_header(rest), "fuzz"))


def tensors(program: bytes) -> str:
    """The tiny model, its tensors and sizes changed piece by piece, and its self-test right again."""
    values, metadata, sizes = opened()
    for at in range(0, len(program) - PIECE + 1, PIECE):
        change(values, sizes, program[at : at + PIECE])
    file = write_tensors(values, {**metadata, "architecture": json.dumps(sizes)})
    unsealed = answer(lambda: parse_model(file, "fuzz").fingerprint)

    def sealed() -> Model:
        return parse_model(serialise(Architecture.from_json(sizes), values, {}), "fuzz")

    label = _checked(sealed)
    if label == "refused" and unsealed[0] == "decoded":
        raise ViolationError("a file is accepted whose tensors are refused")
    return label


def _checked(load: Callable[[], Model]) -> str:
    loaded: list[Model] = []

    def action() -> bytes:
        loaded.append(load())
        return b""

    if answer(action)[0] not in ("decoded", ModelError.__name__):
        raise ViolationError("a model is refused by another error than ModelError")
    if not loaded:
        return "refused"
    check_model(loaded[0])
    return "accepted"


def check_model(model: Model) -> None:
    """Raise ViolationError unless all engines make the same of a model, and what it codes comes back."""
    every = engines(model)
    short = np.frombuffer(TEXT, np.uint8)[:_REFERENCE_BYTES]
    z = np.ones(model.architecture.latents, np.int32)
    made = {one.predictor(z, PRESETS - 1, len(short)).intervals(short).tobytes() for one in every.values()}
    kernels = [one for name, one in every.items() if name != REFERENCE] or list(every.values())
    text = np.resize(np.frombuffer(TEXT, np.uint8), 64)
    if len(made) != 1 or len({self_test_value(one, text) for one in kernels}) != 1:
        raise ViolationError("engines make different integers")
    for latent in [False, True] if bitsback.can_carry_latent(model, len(TEXT)) else [False]:
        coded = {bitsback.encode(one, TEXT, latent=latent, preset=1).block for one in kernels}
        if len(coded) != 1:
            raise ViolationError("engines code differently")
        block = coded.pop()
        back = {bitsback.decode(one, block) for one in kernels}
        if back != {TEXT}:
            raise ViolationError("the text does not come back")


def frame_seeds() -> dict[bytes, bytes]:
    """Frames and what they hold: golden files of one frame, and short ones with every method and preset."""
    paths = [path for path in sorted(TINY.parent.glob("*.vz")) if "dictionary" not in path.name]
    golden = [path.read_bytes() for path in paths if len(list(list_frames(path))) == 1]
    seeds = {frame: stream.decompress(frame, model=FASTEST) for frame in golden}
    for i in range(2 * PRESETS):
        text, preset, latent = TEXT[: 20 + i], i % PRESETS, i >= PRESETS
        block = bitsback.encode(FASTEST, text, latent=latent, preset=preset).block
        seeds[container.short_frame(FASTEST.fingerprint, block)] = text
    return seeds


def text_seeds() -> list[bytes]:
    """Input of `texts` that decodes."""
    lines = TEXT.split()
    packs = [
        pack_records(lines, model=FASTEST, group=group, unordered=unordered)
        for group, unordered in ((1, False), (3, False), (1, True))
    ]
    body = ordered_body([record_coder(_header(0, 1), FASTEST).encode([(line,)]) for line in lines])
    return [
        b"\0" + make_dictionary(lines).to_bytes(),
        b"\1" + CODEC.encode(TEXT),
        *(b"\2" + pack for pack in packs),
        b"\3" + bytes([len(lines), 0]) + body,
    ]


def payload_seeds() -> list[bytes]:
    """Input of `payloads` that decodes."""
    text = TEXT[:_REFERENCE_BYTES]
    coded = [bitsback.encode(FASTEST, text, latent=latent, preset=2).block for latent in (False, True)]
    return [bytes([len(text), 0, 0, latent, 2]) + block.payload for latent, block in enumerate(coded)]


def model_seeds() -> list[bytes]:
    """Input of `models`: a header alone, changes of a header, and changes of tensors."""
    file = TINY.read_bytes()
    header = file[: 8 + int.from_bytes(file[:8], "little")]
    changes = [b"\1\2\0\3null", b"\1\40\0\0\\ud800", b"\2" + bytes(PIECE), b"\2" + bytes(range(8 * PIECE))]
    return [b"\0" + header[:3000], *changes]


TARGETS: dict[str, tuple[Callable[[bytes], str], Callable[[], list[bytes]]]] = {
    "frames": (frames, lambda: [*frame_seeds(), SKIPPABLE.read_bytes()]),
    "payloads": (payloads, payload_seeds),
    "texts": (texts, text_seeds),
    "models": (models, model_seeds),
}
