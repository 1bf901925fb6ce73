"""One block: its content, and the smallest way to code it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vaezip import bitsback, container
from vaezip.at_hand import AtHand
from vaezip.compressibility import looks_compressible
from vaezip.container import Block, Header, Method
from vaezip.dictionaries.priming import Primed
from vaezip.errors import FormatError, IntegrityError
from vaezip.meter import Ticker
from vaezip.model import Model

DEFAULT_BLOCK_SIZE = 512 << 10
# Up to this size a block is coded with the null latent, too, and the smaller result kept: beyond it the few
# bits that a latent costs cannot matter, and coding twice would take twice the time.
_TRY_BOTH = 16 << 10
# Up to this size no latent is tried: the checksum has but 24 bits then, none of which a latent can be drawn
# with, and to try one is a sixth of the work (docs/experiments.md).
_NO_LATENT = 1024
_MANY = 1 << 20  # weights that a core's second cache cannot hold: blocks in step then wait for them but once


def encode_block(
    model: Model, content: bytes, tick: Ticker | None = None, primed: Primed | None = None
) -> Block:
    """The smallest block for `content`, of the methods worth trying.

    tick: called with numbers of bytes that have been coded, a few thousand at a time. primed: the model after
    reading a dictionary.
    """
    if primed is not None and content:
        return _encode_primed(model, content, tick, primed)
    blocks = [container.stored(content)]
    methods = methods_to_try(model, content)
    if Method.VAE_NULL in methods:
        choice = bitsback.PresetChoice(model, content)
        preset, null = choice.preset, choice.intervals(tick)
        blocks.append(bitsback.encode(model, content, latent=False, preset=preset, intervals=null).block)
        latent = Method.VAE in methods and bitsback.latent_promises(model, content, preset, null)
    elif latent := Method.VAE in methods:
        preset = bitsback.PresetChoice(model, content[: bitsback.PROBE_BYTES]).preset
    if latent:
        blocks.append(bitsback.encode(model, content, latent=True, preset=preset, tick=tick).block)
    return min(blocks, key=lambda block: len(block.payload))


def _encode_primed(model: Model, content: bytes, tick: Ticker | None, primed: Primed) -> Block:
    if len(content) > _TRY_BOTH and not looks_compressible(content, primed.text):
        return container.stored(content)
    with primed.predictor(len(content)) as predictor:
        intervals = predictor.intervals(np.frombuffer(content, np.uint8), tick)
    coded = bitsback.encode(model, content, latent=False, preset=0, intervals=intervals).block
    return min(container.stored(content), coded, key=lambda block: len(block.payload))


def methods_to_try(model: Model, content: bytes) -> list[Method]:
    """The methods that `encode_block` tries for a block, beside storing it."""
    if not content:
        return []
    if len(content) <= _NO_LATENT or not bitsback.can_carry_latent(model, len(content)):
        return [Method.VAE_NULL]
    if len(content) <= _TRY_BOTH:
        return [Method.VAE_NULL, Method.VAE]
    return [Method.VAE] if looks_compressible(content) else []


def blocks_in_step(at_hand: AtHand, header: Header, block: Block) -> int:
    """The number of blocks from this one on that a thread should decode together: 2 with a large model."""
    if block.method == Method.STORED:
        return 1
    model, _ = next(at_hand.matching(header))
    return 2 if model.architecture.multiplications > _MANY else 1


def decode_blocks(
    at_hand: AtHand, header: Header, blocks: Sequence[Block], tick: Ticker | None = None
) -> Iterator[bytes]:
    """As `decode_block`, of several blocks of a frame, in step."""
    if len(blocks) > 1 and all(block.method != Method.STORED for block in blocks):
        model, primed = next(at_hand.matching(header))
        try:
            contents = bitsback.decode_in_step(model, blocks, tick, primed)
        except (FormatError, IntegrityError):
            pass  # which one is damaged, or whether the model is another, shows below
        else:
            yield from contents
            return
    for block in blocks:
        yield decode_block(at_hand, header, block, tick)


def decode_block(at_hand: AtHand, header: Header, block: Block, tick: Ticker | None = None) -> bytes:
    """The content of a block of a frame; raises as `decompress`.

    tick: as in `encode_block`.
    """
    if block.method == Method.STORED:
        return container.stored_content(block)
    failure: FormatError | IntegrityError | None = None
    for model, primed in at_hand.matching(header):
        told = tick if failure is None else None
        try:
            return bitsback.decode(model, block, told, primed)
        except (FormatError, IntegrityError) as error:  # a short frame says but one byte of a fingerprint
            failure = failure or error
    assert failure is not None
    raise failure
