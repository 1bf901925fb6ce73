"""The cost of every byte of a text, and of all else that a compressed file holds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import bitsback, container
from vaezip.ans import AnsStack
from vaezip.arguments import Buffer, buffer
from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.byteio import ByteReader
from vaezip.container import Block, Method
from vaezip.information import METHODS, bits_of, latent_bits
from vaezip.known_models import ModelLike, loaded
from vaezip.meter import Meter, Part, Ticker
from vaezip.model import Model
from vaezip.network.ops import Int32
from vaezip.stream import compress_stream
from vaezip.workers import in_order


class BlockCosts(NamedTuple):
    """The account of one block of a compressed text; information in bits."""

    offset: int
    """The block's first byte in the text."""
    size: int
    """Bytes of text."""
    method: str
    """`latent`; `null`: with the null latent; or `stored`: as it is."""
    preset: int
    """The mixer's preset, 0 to 3."""
    z: Int32
    """The latent, int32 (latents,), in grid steps; zeros where there is none."""
    text_bits: float
    """Bits of the text given the latent: the sum of its bytes' bits."""
    latent_bits: float
    """Bits of the latent under its prior, less those that drawing it took off the checksum."""
    checksum_bits: int
    """Bits of the checksum: 32, of a short block 24."""
    payload: int
    """Bytes of all this in the file."""

    @property
    def coder_bits(self) -> float:
        """Bits that the coder adds, rounding to whole bytes; negative if the checksum begins with zeros."""
        return 8 * self.payload - self.text_bits - self.latent_bits - self.checksum_bits


@dataclass(frozen=True)
class Costs:
    """The cost of every byte of a text, and of all else in the compressed file."""

    bits: NDArray[np.float64]
    """The bits of each byte: float64 (n,), n bytes of text; 8 for each byte of a stored block."""
    blocks: tuple[BlockCosts, ...]
    """The blocks, one after the other."""
    compressed: int
    """Bytes of the whole frame."""

    @property
    def text_bits(self) -> float:
        """The sum of what the bytes cost, in bits."""
        return float(sum(block.text_bits for block in self.blocks))

    @property
    def latent_bits(self) -> float:
        """The bits of all blocks' latents."""
        return float(sum(block.latent_bits for block in self.blocks))

    @property
    def checksum_bits(self) -> int:
        """The checksums of all blocks, in bits."""
        return sum(block.checksum_bits for block in self.blocks)

    @property
    def coder_bits(self) -> float:
        """Bits that the coder adds in all blocks."""
        return float(sum(block.coder_bits for block in self.blocks))

    @property
    def payload(self) -> int:
        """Bytes of all blocks' payloads: text, latents, checksums, and what the coder adds."""
        return sum(block.payload for block in self.blocks)

    @property
    def header(self) -> int:
        """Bytes of headers, and of the index at the end."""
        return self.compressed - self.payload


def measure_costs(
    data: Buffer,
    *,
    model: ModelLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
    with_size: bool = True,
    progress: Ticker | None = None,
) -> Costs:
    """The cost of every byte of `data` in the frame that `compress` makes of it, in bits.

    The bits are information contents, -log2 of the probabilities that are coded; with the latents, the
    checksums and `Costs.coder_bits` they add up to the payload.

    model, block_size, threads: as in `compress`, and so are the errors. with_size: whether the header of a
    frame of several blocks says how long the text is, as `compress` has it; the command line does not.
    progress: called with the number of bytes done since the last call; they add up to the size of `data`.
    """
    which, frame, data = loaded(model), io.BytesIO(), bytes(buffer(data))
    part = Part(Meter(progress), len(data), 2 * len(data))  # coded, then measured
    compress_stream(
        io.BytesIO(data),
        frame,
        model=which,
        block_size=block_size,
        threads=threads,
        content_size=len(data) if with_size else None,
        progress=part.tick,
    )
    meter = Meter(part.tick)
    reader = ByteReader(io.BytesIO(frame.getvalue()))
    header = container.read_header(reader)
    assert header is not None
    blocks = list(container.read_blocks(reader, header))
    offsets = np.cumsum([0, *(block.size for block in blocks)]).tolist()

    def measure(placed: tuple[int, Block]) -> tuple[BlockCosts, NDArray[np.float64]]:
        offset, block = placed
        step = Part(meter, block.size, block.size)
        measured = _measure(which, offset, data[offset : offset + block.size], block, step.tick)
        step.finish()
        return measured

    measured = list(in_order(measure, zip(offsets, blocks, strict=False), threads))
    bits = np.concatenate([bits for _, bits in measured])
    return Costs(bits, tuple(costs for costs, _ in measured), len(frame.getvalue()))


def _measure(
    model: Model, offset: int, content: bytes, block: Block, tick: Ticker
) -> tuple[BlockCosts, NDArray[np.float64]]:
    """A block's account, and what its bytes cost."""
    x, z, latent_bits, checksum_bits = np.frombuffer(content, np.uint8), model.latent.null(), 0.0, 32
    if block.method == Method.STORED:
        bits = np.full(len(x), 8.0)
    else:
        checksum_bits = bitsback.checksum_bits(content)
        if block.method == Method.VAE:
            z, latent_bits = _latent(model, x, block)
        intervals = model.predictor(z, block.preset, len(x)).intervals(x, tick)
        bits = bits_of(intervals[:, 1])
    sums = float(bits.sum()), latent_bits, checksum_bits, len(block.payload)
    return BlockCosts(offset, block.size, METHODS[block.method], block.preset, z, *sums), bits


def _latent(model: Model, x: NDArray[np.uint8], block: Block) -> tuple[Int32, float]:
    """A block's latent, and what it costs."""
    z = model.latent.pop_prior(AnsStack.from_bytes(block.payload))
    q = model.latent.posterior(*model.encoder(x))
    stack = AnsStack(bitsback.checksum(x.tobytes()))
    before = stack.bits()
    model.latent.pop_posterior(stack, q)
    return z, latent_bits(model.latent, z) - (before - stack.bits())
