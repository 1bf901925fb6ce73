"""Bits-back coding: exactly invertible, honestly priced, and bits do come back."""

from __future__ import annotations

import dataclasses
import itertools
import math
from functools import partial
from typing import NoReturn
from zlib import crc32

import numpy as np
import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

import vaezip
from vaezip import bitsback
from vaezip.ans import AnsStack, pop_bytes
from vaezip.coder import PRECISION
from vaezip.container import Block, Method
from vaezip.engine import REFERENCE, Engine, available
from vaezip.errors import FormatError, IntegrityError
from vaezip.information import account, bits_of
from vaezip.mixing.parameters import PRESETS
from vaezip.model import Model, load_model

CHECK_BITS = 32  # the checksum of a block above 1 KB, which is all that the stack holds at first
BYTE_BITS = 8  # a payload ends with a whole byte


def test_the_six_lines_of_the_paper(tiny: Model, prose: bytes) -> None:
    """Townsend, Bird and Barber 2019, with a stack that holds the checksum of x; `bitsback` does just this."""
    x = prose[:1500]
    text, latent, checksum = np.frombuffer(x, np.uint8), tiny.latent, crc32(x)
    q = latent.posterior(*tiny.encoder(text))
    stack = AnsStack(checksum)

    z = latent.pop_posterior(stack, q)  # draw z with q(z|x)
    stack.push_intervals(tiny.predictor(z, 0, len(x)).intervals(text))  # code x with p(x|z)
    latent.push_prior(stack, z)  # code z with p(z)

    assert stack.to_bytes() == bitsback.encode(tiny, x, latent=True, preset=0).block.payload
    assert stack.bits() > CHECK_BITS

    assert (latent.pop_prior(stack) == z).all()  # decode z with p(z)
    decode_ans = partial(tiny.engine.decode_ans, [tiny.predictor(z, 0, len(x))])
    assert pop_bytes([stack], [len(x)], decode_ans) == [x]  # decode x with p(x|z)
    assert latent.push_posterior(stack, z, q)  # give back with q(z|x) what drew z

    assert stack.single() == checksum


def _texts(prose: bytes) -> list[bytes]:
    rng = np.random.default_rng(1)
    return [
        prose[:16],
        prose[:100],
        prose[:1500],
        prose[1000:5000],
        "Ärger über Größe, 日本語テキスト. ".encode() * 20,
        b"\r\n".join([b"a line", b"another"] * 30),
        rng.integers(0, 256, 700, np.uint8).tobytes(),
        b"\xff" * 64,
    ]


def posterior_bits(encoded: bitsback.Encoded) -> float:
    """-log2 q(z|x): what bits-back would return on a full stack."""
    q = encoded.posterior
    return 0.0 if q is None else float(bits_of(q.frequencies[q.candidates == encoded.z[:, None]]).sum())


@pytest.mark.parametrize("latent", [True, False])
def test_blocks_decode_and_cost_what_the_model_says(tiny: Model, prose: bytes, latent: bool) -> None:
    texts = _texts(prose)
    for preset, text in zip(itertools.cycle(range(PRESETS)), texts):
        encoded = bitsback.encode(tiny, text, latent=latent, preset=preset)
        assert bitsback.decode(tiny, encoded.block) == text
        bill = account(tiny, text, encoded)
        bits = 8 * len(encoded.block.payload)
        check = bitsback.checksum(text).bit_length()
        told = check + bill.x_bits + bill.z_bits
        # What drew z comes back but for what a stack of so few bits cannot give with a row's precision.
        assert bits <= told - posterior_bits(encoded) + PRECISION
        # Nothing else is lost but what fills the last byte, and what rounding to whole bits hides.
        assert abs(bits - (told - encoded.returned_bits)) < 2 * BYTE_BITS


@pytest.mark.parametrize("engine", available())
def test_blocks_are_decoded_in_step(
    tiny: Model, prose: bytes, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other lengths, latents and presets each; the first to end is not the first one."""
    texts = [prose[:900], b"", prose[40:300], prose[:5000] if engine != REFERENCE else prose[:950]]
    blocks = [bitsback.encode(tiny, text, latent=i > 1, preset=i).block for i, text in enumerate(texts)]
    monkeypatch.setenv("VAEZIP_ENGINE", engine)
    model = load_model(TINY)
    told: list[int] = []
    assert bitsback.decode_in_step(model, blocks, told.append) == texts
    assert sum(told) == sum(map(len, texts))
    damaged = blocks[2]._replace(payload=b"\1" + blocks[2].payload)
    with pytest.raises(IntegrityError):
        bitsback.decode_in_step(model, [blocks[0], damaged, blocks[3]])


def test_bits_come_back(tiny: Model, prose: bytes) -> None:
    blocks = [prose[i : i + 1100] for i in range(0, 4000, 400)]
    encoded = [bitsback.encode(tiny, block, latent=True, preset=1) for block in blocks]
    returned = np.mean([e.returned_bits for e in encoded])
    possible = np.mean([*map(posterior_bits, encoded)])
    # What lies above a row's precision can come back, but for the odd bit.
    assert returned >= min(CHECK_BITS - PRECISION - 2, 0.7 * possible)
    assert [bitsback.decode(tiny, e.block) for e in encoded] == blocks


def test_the_checksum_draws_the_latent(tiny: Model, prose: bytes) -> None:
    """Other checksums draw other latents from one posterior; all return to the stack what they took."""
    q = tiny.latent.posterior(*tiny.encoder(np.frombuffer(prose[:2000], np.uint8)))
    drawn = set()
    for checksum in (crc32(bytes([i])) for i in range(16)):
        stack = AnsStack(checksum)
        z = tiny.latent.pop_posterior(stack, q)
        drawn.add(tuple(z.tolist()))
        assert stack.bits() < CHECK_BITS
        assert tiny.latent.push_posterior(stack, z, q)
        assert stack.single() == checksum
    assert len(drawn) > 1


def test_a_dry_stack_draws_the_mode(tiny: Model, prose: bytes) -> None:
    q = tiny.latent.posterior(*tiny.encoder(np.frombuffer(prose[:2000], np.uint8)))
    stack = AnsStack()
    z = tiny.latent.pop_posterior(stack, q)
    assert (z == q.candidates[:, 0]).all()
    assert (q.frequencies.argmax(axis=1) == 0).all()


@given(
    mean=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=64, max_size=64),
    scale=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=64, max_size=64),
    checksum=st.integers(0, 2**32 - 1),
)
def test_any_encoder_output_gives_a_posterior_that_inverts(
    tiny: Model, mean: list[int], scale: list[int], checksum: int
) -> None:
    n = tiny.architecture.latents
    q = tiny.latent.posterior(np.array(mean[:n], np.int32), np.array(scale[:n], np.int32))
    stack = AnsStack(checksum)
    z = tiny.latent.pop_posterior(stack, q)
    tiny.latent.push_prior(stack, z)
    assert (tiny.latent.pop_prior(stack) == z).all()
    assert tiny.latent.push_posterior(stack, z, q)
    assert stack.single() == checksum


def test_damage_is_found(tiny: Model, prose: bytes) -> None:
    block = bitsback.encode(tiny, prose[:100], latent=True, preset=0).block
    for bit in range(0, 8 * len(block.payload) - 8, 7):
        damaged = bytearray(block.payload)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            bitsback.decode(tiny, block._replace(payload=bytes(damaged)))


@given(
    payload=st.binary(max_size=80),
    size=st.integers(0, 100),
    method=st.sampled_from([Method.VAE, Method.VAE_NULL]),
    preset=st.integers(0, PRESETS - 1),
)
def test_any_payload_is_refused(tiny: Model, payload: bytes, size: int, method: Method, preset: int) -> None:
    """But for the one in four thousand millions that has the right checksum; and nothing crashes."""
    with pytest.raises((IntegrityError, FormatError)):
        bitsback.decode(tiny, Block(method, size, payload + b"\1", preset))


def test_a_tiny_payload_that_claims_a_long_text_is_refused_at_once(tiny: Model) -> None:
    with pytest.raises(IntegrityError):
        bitsback.decode(tiny, Block(Method.VAE_NULL, 16 << 20, b"\1"))


def test_zeros_whose_checksum_leaves_the_stack_empty(tiny: Model) -> None:
    """The one text that an empty stack may hold: b"" has checksum 0, and so does nothing else this short."""
    empty = bitsback.encode(tiny, b"", latent=False, preset=0).block
    assert empty.payload == bitsback.decode(tiny, empty) == b""


def test_the_preset_is_the_one_that_suits_the_beginning(tiny: Model, prose: bytes) -> None:
    table = b"".join(b"%d,%d,item %d,%0.2f\r\n" % (i, i % 7, i % 5, i * 1.5) for i in range(200))
    chosen = []
    for text in (prose[2000:4000], table):
        sizes = [
            len(bitsback.encode(tiny, text, latent=False, preset=preset).block.payload)
            for preset in range(PRESETS)
        ]
        chosen.append(bitsback.PresetChoice(tiny, text).preset)
        assert sizes[chosen[-1]] == min(sizes) < max(sizes)
    assert chosen[0] != chosen[1]
    assert bitsback.PresetChoice(tiny, table + prose).preset == chosen[1]
    assert bitsback.PresetChoice(tiny, b"").preset == 0


class Behind:
    """A comparison of presets that are so many bits behind the best one, as it were, from the first byte on."""

    def __init__(self, behind: list[int]) -> None:
        self.behind, self.parts, self.dropped = behind, list[int](), list[tuple[int, int]]()

    def intervals_by_preset(self, text: np.ndarray, tick: object = None) -> np.ndarray:
        widths = np.full((len(text), len(self.behind)), 1 << 20, np.int32)
        widths[:1] >>= np.array(self.behind if not self.parts else [0] * len(self.behind), np.int32)
        self.parts.append(len(text))
        return np.stack([np.ones_like(widths), widths], axis=2)

    def drop(self, preset: int) -> None:
        self.dropped.append((sum(self.parts), self.behind.pop(preset)))


def test_presets_are_compared_often_at_first_and_dropped_if_they_are_far_behind(tiny: Model) -> None:
    """Behind by more bits than one, and an eighth of the root of the bytes to come."""

    def compare(size: int, *behind: int) -> tuple[bitsback.PresetChoice, Behind]:
        comparison = Behind([*behind])
        engine = tiny.engine._replace(comparison=lambda z, size: comparison)
        return bitsback.PresetChoice(dataclasses.replace(tiny, engine=engine), bytes(size)), comparison

    choice, same = compare(5000, 0, 0, 0, 0)
    ends = np.cumsum(same.parts).tolist()
    assert [*ends[:7], ends[-1]] == [32, 64, 96, 128, 160, 200, 250, 4096]
    assert same.parts[6:-1] == [end // 4 for end in ends[5:-2]]
    assert (choice.preset, len(same.dropped)) == (0, 3)
    choice, some = compare(32 + 81, 3, 2, 0, 9)  # after the first 32 bytes, 1 + 9 / 8 bits are the limit
    assert (choice.preset, some.dropped, some.parts) == (2, [(32, 9), (32, 3), (64, 2)], [32, 32])
    choice, some = compare(32 + 400, 3, 0, 9, 4)
    assert (choice.preset, some.dropped) == (1, [(32, 4), (32, 9), (160, 3)])
    choice, all_read = compare(32, 1, 0, 0, 1)
    assert (choice.preset, all_read.dropped) == (1, [(32, 1), (32, 1), (32, 0)])


def test_what_the_choice_has_predicted_need_not_be_predicted_again(tiny: Model, prose: bytes) -> None:
    for text in (prose[:5000], prose[:50], b"", b"\xff" * 3000):
        choice, told = bitsback.PresetChoice(tiny, text), list[int]()
        anew = tiny.predictor(tiny.latent.null(), choice.preset, len(text))
        intervals = choice.intervals(told.append)
        assert (intervals == anew.intervals(np.frombuffer(text, np.uint8))).all()
        assert sum(told) == len(text)


def test_a_latent_has_to_promise_twice_its_cost(tiny: Model, prose: bytes) -> None:
    """By its definition, in floating-point numbers."""
    sides = set()
    for size in (64, 128, 200, 700, 845, 1000, 1100, 1200, 1500, 3000):
        for text in (prose[:size], prose[9000 : 9000 + size]):
            x = np.frombuffer(text, np.uint8)
            null = tiny.predictor(tiny.latent.null(), 0, size).intervals(x)
            stack = AnsStack(bitsback.checksum(text))
            before = stack.bits()
            z = tiny.latent.pop_posterior(stack, tiny.latent.posterior(*tiny.encoder(x)))
            tiny.latent.push_prior(stack, z)
            given = tiny.predictor(z, 0, size).intervals(x[:128])
            saved = np.log2(given[:, 1] / null[:128, 1]).sum() * math.sqrt(max(1, size / 128))
            ratio = saved / (2 * (stack.bits() - before))
            if abs(ratio - 1) > 0.03:  # roots are rounded down
                assert bitsback.latent_promises(tiny, text, 0, null) == (ratio > 1), ratio
                sides.add(min(3, int(2 * ratio)))
    assert sides >= {0, 1, 2, 3}  # far below what it has to promise, below, above, far above


def test_short_blocks_have_shorter_checksums() -> None:
    assert [bitsback.checksum_bits(bytes(size)) for size in (0, 1024, 1025)] == [24, 24, 32]
    assert bitsback.checksum(b"a text") == crc32(b"a text") % 2**24
    assert bitsback.checksum(b"a text" * 200) == crc32(b"a text" * 200) > 2**24


def test_progress_is_told_in_bytes(tiny: Model, prose: bytes) -> None:
    for latent in (False, True):
        told: list[int] = []
        block = bitsback.encode(tiny, prose[:500], latent=latent, preset=2, tick=told.append).block
        assert sum(told) == 500
        assert bitsback.decode(tiny, block, told.append) == prose[:500]
        assert sum(told) == 1000


def test_after_a_dictionary_there_is_neither_a_latent_nor_another_preset(tiny: Model) -> None:
    primed = vaezip.make_dictionary([b"a line", b"another"]).primed(tiny)
    with primed.predictor(7) as predictor:
        intervals = predictor.intervals(np.frombuffer(b"a third", np.uint8))
    block = bitsback.encode(tiny, b"a third", latent=False, preset=0, intervals=intervals).block
    assert bitsback.decode(tiny, block, primed=primed) == b"a third"
    said = r"^damaged block: no encoder has a latent or another preset with a dictionary$"
    for other in (block._replace(method=Method.VAE, size=100), block._replace(preset=1)):
        with pytest.raises(FormatError, match=said):
            bitsback.decode(tiny, other, primed=primed)


def test_an_empty_block_needs_no_predictor(tiny: Model) -> None:
    """A file may have millions of them."""

    def refuse(*arguments: object) -> NoReturn:
        raise AssertionError("a predictor was made")

    model = dataclasses.replace(tiny, engine=Engine("none", refuse, refuse, refuse))
    assert bitsback.decode(model, Block(Method.VAE_NULL, 0, b"")) == b""
    for payload in (b"\1", b"\1\2\3\4\5"):
        with pytest.raises(
            IntegrityError, match=r"^checksum mismatch: the data are damaged, or were coded with"
        ):
            bitsback.decode(model, Block(Method.VAE_NULL, 0, payload))
    for method, payload, said in (
        (Method.VAE, b"", "too short to carry a latent"),
        (Method.VAE_NULL, b"\0", "it ends in"),
    ):
        with pytest.raises(FormatError, match=f"^damaged block: {said}"):
            bitsback.decode(model, Block(method, 0, payload))
