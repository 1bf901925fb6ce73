"""Messages: short texts as bare payloads, alone and after a dictionary, for every engine the same."""

from __future__ import annotations

import gc
import math
import pickle
import random
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Run
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip import engine
from vaezip.coder import TOTAL
from vaezip.dictionaries.priming import Primed
from vaezip.engine import load_engine
from vaezip.messages.armour import decode_armour, encode_armour
from vaezip.messages.range_coder import RangeDecoder, RangeEncoder
from vaezip.messages.texts import MAX_TEXT, NO_DICTIONARY, TextCoder
from vaezip.model import parse_model
from vaezip.tensors import read_tensors, write_tensors
from vaezip.workers import thread_count

SAMPLES = [b"%02d:15 sensor %d says %d.%d C" % (i % 24, i % 5, 17 + i % 7, i % 10) for i in range(40)]
DICTIONARY = vaezip.make_dictionary(SAMPLES, "sensors")
MORE = [
    b"07:15 sensor 9 says 21.3 C",
    b"Sensor 3 is silent",
    b"two\nlines",
    b"one line\n",
    b"\n",
    b"\xff\x00",
]


@pytest.fixture(scope="module")
def codecs() -> list[vaezip.MessageCodec]:
    """All kinds of them."""
    model = vaezip.load_model(TINY)
    return [
        vaezip.MessageCodec(model),
        vaezip.MessageCodec(model, check_bytes=4),
        vaezip.MessageCodec(model, DICTIONARY),
        vaezip.MessageCodec(model, DICTIONARY, check_bytes=1),
    ]


# The range coder

intervals = st.integers(1, TOTAL).flatmap(
    lambda width: st.tuples(st.integers(0, TOTAL - width), st.just(width))
)


@given(st.lists(st.one_of(intervals, st.tuples(st.just(TOTAL - 1), st.just(1))), max_size=40))
def test_the_range_coder_wastes_less_than_a_byte(symbols: list[tuple[int, int]]) -> None:
    encoder = RangeEncoder()
    encoder.push_all(symbols)
    coded = encoder.to_bytes()
    assert 8 * len(coded) < sum(24 - math.log2(width) for _, width in symbols) + 8.001
    decoder = RangeDecoder(coded)
    for below, width in symbols:
        assert below <= decoder.quantile() < below + width
        decoder.pop(below, width)
    decoder.check_end()


@given(st.lists(intervals, max_size=12), st.binary(max_size=4), st.integers(0, 3))
def test_nothing_else_than_what_was_written_says_the_same(
    symbols: list[tuple[int, int]], more: bytes, less: int
) -> None:
    """Whatever takes the place of the last bytes, or follows them."""
    encoder = RangeEncoder()
    encoder.push_all(symbols)
    coded = encoder.to_bytes()
    for other in (coded[: len(coded) - less] + more, coded + bytes(9) + more):
        if other == coded:
            continue
        with pytest.raises(vaezip.FormatError, match="cut off, followed by something"):
            said(other, symbols)


def said(data: bytes, symbols: list[tuple[int, int]]) -> None:
    """Raise FormatError unless this is how these symbols are coded."""
    decoder = RangeDecoder(data)
    for below, width in symbols:
        if not below <= decoder.quantile() < below + width:
            break
        decoder.pop(below, width)
    else:
        decoder.check_end()
        return
    raise vaezip.FormatError("cut off, followed by something: other symbols")


@given(st.binary(max_size=30))
def test_the_range_decoder_finds_a_symbol_in_anything(data: bytes) -> None:
    decoder = RangeDecoder(data)
    for _ in range(30):
        quantile = decoder.quantile()
        assert 0 <= quantile < TOTAL
        decoder.pop(quantile & ~255, 256)


# Messages


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode), st.sampled_from(MORE)))
def test_every_text_comes_back(codecs: list[vaezip.MessageCodec], text: bytes) -> None:
    for codec, check_bytes in zip(codecs, (0, 4, 0, 1), strict=True):
        message = codec.encode(text)
        assert codec.decode(message) == text
        assert len(message) <= len(text) + 1 + check_bytes
        assert bool(message) == bool(text)
        for armour in ("base64url", "base45"):
            assert codec.decode_text(codec.encode_text(text, armour), armour) == text


def test_longer_texts_come_back(codecs: list[vaezip.MessageCodec]) -> None:
    for size in (4000, 4095, 4096, 8191, 8192):  # a text may not be a line, and tables might be larger
        text = (b"It was the best of times, it was the worst of times. " * 200)[:size]
        for end in (b"", b"\n"):
            assert codecs[2].decode(codecs[2].encode(text + end)) == text + end
    noise = random.Random(0).randbytes(MAX_TEXT)
    assert codecs[0].decode(codecs[0].encode(noise)) == noise
    with pytest.raises(vaezip.LimitError, match="65536"):
        codecs[0].encode(noise + b"x")


def test_a_dictionary_makes_texts_of_its_kind_short(codecs: list[vaezip.MessageCodec]) -> None:
    text = MORE[0]
    without, with_dictionary = (len(codecs[i].encode(text)) for i in (0, 2))
    assert with_dictionary < 0.5 * without
    assert len(zlib.compress(text)) > 2 * with_dictionary


def test_a_message_is_at_most_a_byte_longer_than_what_it_says() -> None:
    model = vaezip.load_model(TINY)
    codec = vaezip.MessageCodec(model, DICTIONARY)
    excess = []
    for text in SAMPLES:
        with DICTIONARY.primed(model).predictor(100) as predictor:
            widths = predictor.intervals(np.frombuffer(text + b"\n", np.uint8))[:, 1]
        bits = -np.log2(widths / TOTAL).sum() - math.log2(DICTIONARY.ended / 256)
        excess.append(len(codec.encode(text)) - bits / 8)
    assert 0 <= np.mean(excess) < 0.6
    assert max(excess) < 1


@pytest.mark.parametrize("name", engine.available())
def test_messages_are_the_same_with_every_engine(
    name: str, codecs: list[vaezip.MessageCodec], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [MORE[0], MORE[1], MORE[3], b"\xfe" * 3, "größer als 日本".encode()]
    expected = [codec.encode(text) for codec in codecs for text in texts]
    monkeypatch.setenv("VAEZIP_ENGINE", name)
    tiny = vaezip.load_model(TINY)
    model = tiny.__class__(**{**vars(tiny), "engine": load_engine(tiny.decoder, tiny.mixer)})
    dictionary = vaezip.make_dictionary(SAMPLES)  # a new one, which no other engine has read
    others = [
        vaezip.MessageCodec(model),
        vaezip.MessageCodec(model, check_bytes=4),
        vaezip.MessageCodec(model, dictionary),
        vaezip.MessageCodec(model, dictionary, check_bytes=1),
    ]
    assert model.engine.name == name
    assert [codec.encode(text) for codec in others for text in texts] == expected
    messages = iter(expected)
    assert all(codec.decode(next(messages)) == text for codec in others for text in texts)


def test_a_codec_is_safe_with_threads_and_in_a_pickle(codecs: list[vaezip.MessageCodec]) -> None:
    with ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(codecs[2].encode, SAMPLES * 2))
        texts = list(pool.map(codecs[2].decode, messages))
    assert texts == SAMPLES * 2
    again = pickle.loads(pickle.dumps(vaezip.MessageCodec(TINY, DICTIONARY, check_bytes=2)))
    assert again.decode(again.encode(MORE[0])) == MORE[0]
    assert [again.encode(text) for text in SAMPLES] == [
        vaezip.MessageCodec(TINY, DICTIONARY, check_bytes=2).encode(text) for text in SAMPLES
    ]


def test_nothing_of_a_model_stays_when_it_has_gone() -> None:
    """What has read no dictionary is kept beside that of none, which is there for ever."""
    for dictionary in (None, DICTIONARY):
        model, other = (parse_model(changed_model(note), note) for note in ("one", "another"))
        codec, kept = vaezip.MessageCodec(model, dictionary), vaezip.MessageCodec(other, dictionary)
        assert codec.decode(codec.encode(MORE[0])) == MORE[0]
        gone = [weakref.ref(one) for one in (model, codec._primed)]
        del model, codec, other
        gc.collect()
        assert [one() for one in gone] == [None, None]
        assert kept.decode(kept.encode(MORE[0])) == MORE[0]
        assert kept._primed is vaezip.MessageCodec(kept._model, dictionary)._primed


def changed_model(note: str) -> bytes:
    """A model file that says the same, and has another fingerprint."""
    values, metadata = read_tensors(TINY.read_bytes())
    return write_tensors(values, {**metadata, "note": note})


def test_no_more_predictors_are_kept_than_there_are_cores(tiny: vaezip.Model) -> None:
    primed, cores = Primed(tiny, b"\n"), thread_count(0)
    for _ in range(2):
        with ExitStack() as many:
            predictors = [many.enter_context(primed.predictor()) for _ in range(cores + 3)]
            x = np.frombuffer(MORE[0], np.uint8)
            assert len({predictor.intervals(x).tobytes() for predictor in predictors}) == 1
        assert len(primed._idle) == cores


def test_no_predictor_is_kept_with_all_that_a_long_text_has_changed(tiny: vaezip.Model) -> None:
    if tiny.engine.name == engine.REFERENCE:
        pytest.skip("the reference keeps no journal")
    primed, text, intervals = Primed(tiny, b"\n"), np.frombuffer(b"".join(MORE), np.uint8), []
    for size, kept in ((500, 1), (20_000, 0), (500, 1)):
        with primed.predictor() as predictor:
            intervals.append(predictor.intervals(np.resize(text, size))[:500])
        assert len(primed._idle) == kept
    assert (intervals[0] == intervals[1]).all()
    assert (intervals[0] == intervals[2]).all()


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=40))
def test_whatever_is_no_message_is_refused_or_bounded(codecs: list[vaezip.MessageCodec], data: bytes) -> None:
    for codec in codecs:
        with suppress(vaezip.FormatError, vaezip.IntegrityError):
            assert len(codec.decode(data)) <= MAX_TEXT


@pytest.mark.parametrize(
    ("text", "kept", "said"),
    [(b"it ends by itself", 1, "does not end"), (b"\n\n", 3, "no text is coded like that")],
)
def test_what_lies_in_no_bytes_interval_is_refused(
    tiny: vaezip.Model, text: bytes, kept: int, said: str
) -> None:
    """All of them leave out the first number and the last."""
    symbols = TextCoder(NO_DICTIONARY).symbols(tiny.predictor(tiny.latent.null(), 0, 99), text)
    encoder = RangeEncoder()
    encoder.push_all([*symbols[:kept], (TOTAL - 1, 1)])
    with pytest.raises(vaezip.FormatError, match=said):
        vaezip.MessageCodec(tiny).decode(encoder.to_bytes())


def test_a_size_beyond_all_texts_is_refused_before_a_byte_is_decoded() -> None:
    with pytest.raises(vaezip.FormatError, match="longer than it may be"):
        vaezip.MessageCodec(TINY).decode(b"\xfe\x80")


@pytest.mark.parametrize("text", [b"it ends by itself", b"a line\n", b"two\nlines", b"\xfe\xfd\xfc"])
def test_nothing_hides_behind_a_message(codecs: list[vaezip.MessageCodec], text: bytes) -> None:
    for codec in codecs[1:2] if text[0] == 0xFE else codecs:
        message = codec.encode(text)
        for more in (b"\0", b"\0\0\0\1", b"X" * 10, b"X" * 10_000, message * 2):
            with pytest.raises((vaezip.FormatError, vaezip.IntegrityError)):
                codec.decode(message + more)
        for more in range(256):
            with suppress(vaezip.FormatError, vaezip.IntegrityError):
                assert codec.decode(message + bytes([more])) != text


def test_the_empty_text_is_the_empty_message(codecs: list[vaezip.MessageCodec]) -> None:
    for codec, check_bytes in zip(codecs, (0, 4, 0, 1), strict=True):
        encoder = RangeEncoder()
        with codec._primed.predictor() as predictor:
            encoder.push_all(codec._texts.symbols(predictor, b""))
        encoder.push_all([(0, 1 << 16)] * check_bytes)
        for other in (b"\xff" + bytes(check_bytes), encoder.to_bytes()):
            with pytest.raises(vaezip.FormatError, match="a message of none"):
                codec.decode(other)


def test_a_damaged_message_is_told_by_its_checksum() -> None:
    codec = vaezip.MessageCodec(TINY, DICTIONARY, check_bytes=4)
    harmless = 0
    for text in (MORE[0], b"\xfe\xfd\xfc"):
        message = codec.encode(text)
        for at in range(8 * len(message)):
            damaged = bytearray(message)
            damaged[at // 8] ^= 1 << at % 8
            with suppress(vaezip.IntegrityError, vaezip.FormatError):
                assert codec.decode(damaged) == text  # a bit of the last byte may mean nothing
                harmless += 1
    assert harmless < 16
    for message, said in (
        (b"\xff\x01", "too short"),
        (b"\xff" + bytes(MAX_TEXT + 5), "longer"),
    ):
        with pytest.raises(vaezip.FormatError, match=said):
            codec.decode(message)
    with pytest.raises(TypeError):
        codec.encode(5)  # type: ignore[arg-type]


def test_what_a_codec_cannot_be_made_of(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="check_bytes"):
        vaezip.MessageCodec(TINY, check_bytes=5)
    with pytest.raises(vaezip.DictionaryError, match="nowhere"):
        vaezip.MessageCodec(TINY, "nowhere")
    with pytest.raises(vaezip.ModelError, match="nowhere"):
        vaezip.MessageCodec("nowhere")


# Letters


@pytest.mark.parametrize(
    ("data", "letters"),  # RFC 9285, section 4
    [
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"", ""),
    ],
)
def test_base45_is_that_of_the_standard(data: bytes, letters: str) -> None:
    assert encode_armour(data, "base45") == letters
    assert decode_armour(letters, "base45") == data


@pytest.mark.parametrize(
    ("letters", "armour"),
    [
        ("GGW", "base45"),
        (":", "base45"),
        ("ab", "base45"),
        ("A", "base64url"),
        ("ä", "base64url"),
        ("+/", "base64url"),
        ("C-", "base64url"),  # which has a bit that is no byte's
    ],
)
def test_other_letters_are_refused(letters: str, armour: str) -> None:
    with pytest.raises(vaezip.FormatError, match=armour):
        decode_armour(letters, armour)
    with pytest.raises(ValueError, match="one of"):
        decode_armour(letters, "base1")


# The command line


def test_a_message_on_the_command_line(run: Run, tmp_path: object) -> None:
    options = ("--format", "message", "-m", TINY)
    for more in ((), ("--check", 2), ("--armour", "base45"), ("--armour", "base64url", "--check", 1)):
        message = run(*options, *more, input=MORE[3])
        assert (message.returncode, message.stderr) == (0, b"")
        back = run("-d", *options, *more, input=message.stdout)
        assert (back.returncode, back.stdout) == (0, MORE[3])
    codec = vaezip.MessageCodec(TINY)
    assert run(*options, input=MORE[3]).stdout == codec.encode(MORE[3])


def test_several_messages_are_decoded_one_after_the_other(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode())
    options = ("-m", TINY, "--format", "message")
    assert run(*options, "one", "two").returncode == 0
    assert run("-d", *options, "-c", "one.msg", "two.msg").stdout == b"onetwo"


def test_what_is_wrong_with_a_message_is_said_in_a_line(run: Run) -> None:
    options = ("--format", "message", "-m", TINY)
    for arguments, given_, said in (
        (("--check", 2), b"x", b"--check and --armour are for --format message"),
        ((*options, "-D", "nowhere"), b"x", b"nowhere: cannot read the dictionary"),
        (options, bytes(MAX_TEXT + 1), b"a message has 65536 bytes at most"),
        (("-d", *options, "--check", 4), b"abcdefgh", b""),
        (("-d", *options, "--armour", "base45"), b"abc", b"this is not base45"),
        (("-d", *options), b"\xff" + bytes(300_000), b"longer than any message"),
        (("-d", *options, "--max-output", 3), b"\xffabcd", b"larger than 3 bytes"),
        (("-t", *options), b"x", b"does not go with --test"),
        (("-c", *options, "one", "two"), b"", b"several outputs"),
    ):
        result = run(*arguments, input=given_)
        assert (result.returncode, result.stdout) == (1, b"")
        assert said in result.stderr
        assert result.stderr.count(b"\n") == 1
