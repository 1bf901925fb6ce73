"""`vaezip sample`: the same text for a seed with every engine, only text, and what decides it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA, TINY, Result, Run
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip.bitsback import PresetChoice
from vaezip.coder import TOTAL
from vaezip.engine import available, load_engine
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model
from vaezip.sampling import Choice, Random, sharpened
from vaezip.tensors import read_tensors

CONTEXT = b"a,b: the cat sat on the mat, a,b: the cat sat on the m" + "Größe, ".encode() * 2
CODE = (DATA / "texts" / "c.txt").read_bytes()


def text_of(model: Model, **arguments: object) -> bytes:
    return b"".join(vaezip.sample(model=model, **arguments))  # type: ignore[arg-type]


def with_engine(model: Model, name: str, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("VAEZIP_ENGINE", name)
    return replace(model, engine=load_engine(model.decoder, model.mixer))


def predictor(model: Model, size: int) -> Predictor:
    return model.predictor(np.ones(model.architecture.latents, np.int32), 2, size)


# The distribution of the next byte


@pytest.mark.parametrize("engine", available())
def test_the_distribution_is_what_coding_gives_each_byte(
    engine: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And looking at it changes nothing."""
    model = with_engine(tiny, engine, monkeypatch)
    context = np.frombuffer(CONTEXT, np.uint8)[-12 if engine == "python" else 0 :]
    looking, plain = predictor(model, len(context) + 1), predictor(model, len(context) + 1).intervals(context)
    for byte, (below, width) in zip(context.tolist(), plain.tolist(), strict=True):
        widths = looking.distribution()
        assert (looking.distribution() == widths).all()
        assert widths.sum() == TOTAL - 2
        assert (1 + widths[:byte].sum(), widths[byte]) == (below, width)
        assert looking.symbol(below + width - 1)[0] == byte
    last = looking.distribution()
    for byte in range(0, 256, 80 if engine == "python" else 1):
        coded = predictor(model, len(context) + 1).intervals(np.append(context, np.uint8(byte)))
        assert coded[-1].tolist() == [1 + last[:byte].sum(), last[byte]]


@settings(max_examples=15)
@given(text=st.binary(min_size=1, max_size=40) | st.text("ab\n,1", min_size=1, max_size=40).map(str.encode))
def test_the_distribution_of_any_text(tiny: Model, text: bytes) -> None:
    """In small tables, where contexts have to share slots, too."""
    x = np.frombuffer(text, np.uint8)
    looking = predictor(tiny, len(x))
    for byte, interval in zip(text, predictor(tiny, len(x)).intervals(x).tolist(), strict=True):
        widths = looking.distribution()
        assert interval == [1 + widths[:byte].sum(), widths[byte]]
        looking.symbol(interval[0])


@pytest.mark.parametrize("engine", available())
def test_no_distribution_after_the_last_byte(
    engine: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = predictor(with_engine(tiny, engine, monkeypatch), 1)
    one.symbol(1)
    assert not one.distribution().any()


# Drawing


def test_numbers_for_a_seed_are_those_of_splitmix64() -> None:
    """The test vector that its reference implementation, and Java's SplittableRandom, give for 1234567."""
    random = Random(1234567)
    assert [random.bits() for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@given(
    widths=st.lists(st.integers(1, 1 << 24), min_size=1, max_size=256),
    temperature=st.integers(1, 100_000),
)
def test_a_temperature_is_an_exponent(widths: list[int], temperature: int) -> None:
    weights = sharpened(np.array(widths, np.int64), temperature)
    exact = (np.array(widths) / max(widths)) ** (1000 / temperature) * 2**31
    tolerance = 2 ** (2**-15 * max(1.0, 1000 / temperature)) - 1  # that of the logarithms
    assert (np.abs(weights - exact) <= exact * tolerance + 1).all()
    assert weights.max() == 1 << 31


def drawn(weights: list[int], count: int = 4000, **choice: float) -> Counter[int]:
    chosen, random = Choice(**{"temperature": 1.0, "top_p": 1.0, **choice}), Random(5)
    return Counter(chosen.draw(np.array(weights, np.int64), random) for _ in range(count))


def test_what_is_wide_is_drawn_often() -> None:
    weights = [100, 600, 0, 300]
    for index, count in drawn(weights).items():
        assert abs(count - 4 * weights[index]) < 150  # five standard deviations
    assert drawn(weights)[2] == 0
    half = drawn(weights, temperature=0.5)
    assert abs(half[1] - 4000 * 36 // 46) < 150
    assert set(drawn(weights, temperature=0)) == {1}


@given(
    weights=st.lists(st.integers(1, 1 << 16), min_size=1, max_size=12),
    share=st.integers(1, 1000),
    seed=st.integers(0, 2**64 - 1),
)
def test_top_p_is_of_the_fewest_that_have_so_much(weights: list[int], share: int, seed: int) -> None:
    order = sorted(range(len(weights)), key=lambda i: -weights[i])
    enough = Fraction(share, 1000) * sum(weights)
    count = next(k for k in range(1, len(order) + 1) if sum(weights[i] for i in order[:k]) >= enough)
    assert Choice(1, share / 1000).draw(np.array(weights, np.int64), Random(seed)) in order[:count]


# Texts


def test_every_engine_draws_the_same_text(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (
        {"temperature": 0.8, "prompt": "größer als "},
        {"top_p": 0.9, "temperature": 1.3, "like": CODE[:150]},
    ):
        texts = {
            text_of(with_engine(tiny, name, monkeypatch), seed=4, length=10, **arguments)
            for name in available()
        }
        assert len(texts) == 1, texts


def test_a_known_seed_gives_a_known_text(tiny: Model) -> None:
    """So that a change of what is drawn does not pass unnoticed."""
    assert text_of(tiny, seed=1, length=30).decode() == 'blfes.21," Mext if Jon of hadc'


def test_a_seed_gives_one_text_of_which_a_shorter_one_is_the_beginning(tiny: Model) -> None:
    long = text_of(tiny, seed=8, length=90)
    assert text_of(tiny, seed=8, length=90) == long
    assert long.startswith(text_of(tiny, seed=8, length=40))
    assert text_of(tiny, seed=9, length=90) != long
    free = vaezip.sample(model=tiny, length=30)
    assert b"".join(free) == text_of(tiny, seed=free.seed, length=30)
    assert vaezip.sample(model=tiny, length=0).seed != vaezip.sample(model=tiny, length=0).seed


@settings(max_examples=40)
@given(seed=st.integers(0, 2**64 - 1), temperature=st.sampled_from([0.5, 1.0, 3.0, 100.0]))
def test_only_text_is_drawn(tiny: Model, seed: int, temperature: float) -> None:
    """At high temperatures, every byte is about as likely as any other."""
    characters = list(
        vaezip.sample(model=tiny, seed=seed, length=25, temperature=temperature, prompt=b"\xff\xc3")
    )
    assert len(characters) == 25
    for character in characters:
        (one,) = character.decode()  # strictly: no surrogates, nothing overlong
        assert one in "\t\n\r" or unicodedata.category(one) != "Cc"


def test_all_lengths_of_characters_are_drawn(tiny: Model) -> None:
    characters = [*vaezip.sample(model=tiny, seed=0, length=300, temperature=100)]
    assert set(map(len, characters)) == {1, 2, 3, 4}


def test_at_temperature_0_the_likeliest_byte_is_taken(tiny: Model) -> None:
    z, prompt = [0] * tiny.architecture.latents, b"the age of wisdom, the age of"
    text = text_of(tiny, seed=1, z=z, preset=1, length=20, temperature=0, prompt=prompt)
    assert text == text_of(tiny, seed=2, z=z, preset=1, length=20, temperature=0, prompt=prompt)
    assert text == text_of(tiny, seed=2, z=z, preset=1, length=20, top_p=0.001, prompt=prompt)
    steps = tiny.predictor(np.zeros(8, np.int32), 1, 1 << 17)
    steps.intervals(np.frombuffer(prompt, np.uint8))
    for byte in text:
        widths = steps.distribution()
        assert widths.argmax() == byte
        steps.symbol(1 + int(widths[:byte].sum()))


def test_a_prompt_is_gone_on_from(tiny: Model) -> None:
    rhyme = b"It was the best of times, it was the worst of times; " * 4
    prompt, rest = rhyme[:-30], rhyme[-30:]
    assert text_of(tiny, seed=3, temperature=0, length=30, prompt=prompt) == rest
    # What is drawn in one go, and what is drawn going on from its first half, by the same numbers.
    given = {"z": [1] * tiny.architecture.latents, "preset": 0, "temperature": 0}
    whole = text_of(tiny, length=40, **given)
    half = b"".join(itertools.islice(vaezip.sample(model=tiny, length=40, **given), 20))  # type: ignore[arg-type]
    assert half + text_of(tiny, length=20, prompt=half, **given) == whole


def test_z_and_preset_that_were_drawn_give_the_same_text(tiny: Model) -> None:
    for arguments in ({}, {"like": CODE}, {"prompt": CONTEXT}):
        one = vaezip.sample(model=tiny, seed=6, length=30, **arguments)  # type: ignore[arg-type]
        prompt = arguments.get("prompt", b"")
        again = text_of(tiny, seed=one.seed, z=one.z, preset=one.preset, length=30, prompt=prompt)
        assert b"".join(one) == again


def test_like_draws_from_the_posterior(tiny: Model, prose: bytes) -> None:
    for like in (prose[:300], CODE[:300]):
        samples = [vaezip.sample(model=tiny, seed=seed, length=0, like=like) for seed in range(200)]
        assert {one.preset for one in samples} == {PresetChoice(tiny, like).preset}
        q = tiny.latent.posterior(*tiny.encoder(np.frombuffer(like, np.uint8)))
        share = q.frequencies[:, 0] / TOTAL  # of the mode, for each latent
        hits = np.mean([one.z == q.candidates[:, 0] for one in samples], axis=0)
        assert (np.abs(hits - share) < 5 * np.sqrt(share * (1 - share) / 200) + 1e-3).all()
    assert samples[0].z != samples[1].z


def test_without_anything_z_is_drawn_from_the_prior(tiny: Model) -> None:
    samples = [vaezip.sample(model=tiny, seed=seed, length=0) for seed in range(300)]
    prior = read_tensors(TINY.read_bytes())[0]["latent.prior"] / TOTAL
    values = np.arange(prior.shape[1]) - tiny.latent.furthest
    mean = prior @ values
    deviation = np.sqrt(prior @ values**2 - mean**2)
    zs = np.array([one.z for one in samples])
    assert (np.abs(zs.mean(axis=0) - mean) < 5 * deviation / np.sqrt(300)).all()
    assert (np.abs(zs.std(axis=0) / deviation - 1) < 0.2).all()
    assert {one.preset for one in samples} == {0, 1, 2, 3}
    assert not any(vaezip.sample(model=tiny, length=0, prompt="Dear ").z)  # too short to say what it is like


def test_between_leads_from_one_posterior_mean_to_the_other(tiny: Model, prose: bytes) -> None:
    path = [
        vaezip.sample(model=tiny, length=0, between=(prose, CODE), steps=9, step=step) for step in range(9)
    ]
    for one, text in ((path[0], prose), (path[-1], CODE)):
        mean, scale = tiny.encoder(np.frombuffer(text, np.uint8))
        assert one.z == tuple(tiny.latent.posterior(mean, scale).candidates[:, 0].tolist())
        assert one.preset == PresetChoice(tiny, text).preset
    zs = np.array([one.z for one in path])
    assert (np.abs(np.diff(zs, 2, axis=0)) <= 2).all()  # straight, but for rounding
    assert ((np.diff(zs, axis=0) >= 0).all(axis=0) | (np.diff(zs, axis=0) <= 0).all(axis=0)).all()
    assert len({one.z for one in path}) > 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"length": -1}, "length"),
        ({"length": 1 << 21}, "length"),
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 64}, "seed"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"z": [0] * 7}, "8 numbers from -24 to 24"),
        ({"z": [0] * 7 + [25]}, "8 numbers from -24 to 24"),
        ({"preset": 4}, "preset"),
        ({"preset": -1}, "preset"),
        ({"like": b"short"}, "5 bytes"),
        ({"between": (CODE, b"")}, "0 bytes"),
        ({"between": (CODE, CODE), "steps": 1}, "at least 2"),
        ({"between": (CODE, CODE), "step": 5}, "step"),
        ({"between": (CODE, CODE), "like": CODE}, "exclude"),
        ({"z": [0] * 8, "like": CODE}, "exclude"),
        ({"prompt": bytes((16 << 20) + 1)}, "16 MiB"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(
    arguments: dict[str, object], words: str, tiny: Model
) -> None:
    with pytest.raises(ValueError, match=words):
        vaezip.sample(model=tiny, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments", [{"length": 1.5}, {"z": [0.5] * 8}, {"temperature": "hot"}, {"like": 7}]
)
def test_what_is_no_number_or_text_is_a_type_error(arguments: dict[str, object], tiny: Model) -> None:
    with pytest.raises(TypeError):
        vaezip.sample(model=tiny, **arguments)  # type: ignore[arg-type]


# The command


@pytest.fixture
def call(run: Run) -> Run:
    return lambda *args, **options: run("sample", "-m", TINY, *args, **options)


def test_the_command_writes_what_python_gives(call: Run, tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(CODE)
    (tmp_path / "empty").touch()
    given = ("--seed", 5, "--length", 30, "--temperature", 0.9, "--top-p", "0.95")
    options = {"seed": 5, "length": 30, "temperature": 0.9, "top_p": 0.95}
    for words, arguments in (
        ((), {}),
        (("--like", "code", "--preset", 2), {"like": CODE, "preset": 2}),
        (("--prompt", "Größe, "), {"prompt": "Größe, "}),
        (("--prompt-file", "code"), {"prompt": CODE}),
        (("--prompt-file", "empty"), {}),
        (("--z", "-1,0,2,0,0,0,0,3"), {"z": [-1, 0, 2, 0, 0, 0, 0, 3]}),
    ):
        result: Result = call(*given, *words)
        assert (result.returncode, result.stderr) == (0, b"")
        text = text_of(tiny, **options, **arguments)
        assert result.stdout == (text if text.endswith(b"\n") else text + b"\n")
    piped = call(*given, "--prompt-file", "-", input=CODE)
    assert piped.stdout.rstrip(b"\n") == text_of(tiny, **options, prompt=CODE).rstrip(b"\n")


def test_several_samples_say_how_each_can_be_had_alone(call: Run) -> None:
    several = call("-n", 3, "--seed", 7, "--length", 20, "-v")
    for seed, line in zip((7, 8, 9), several.stderr.decode().splitlines(), strict=True):
        one = call("--seed", seed, "--length", 20, "-v")
        assert f"==> seed {seed} <==\n".encode() + one.stdout in several.stdout
        assert one.stderr.decode().strip() == line
        words = dict(part.split() for part in line.split(", "))
        assert (
            one.stdout
            == call(
                "--length", 20, *(x for name, value in words.items() for x in (f"--{name}", value))
            ).stdout
        )


def test_between_two_files(call: Run, tmp_path: Path, prose: bytes) -> None:
    (tmp_path / "prose").write_bytes(prose)
    (tmp_path / "code").write_bytes(CODE)
    path = call("--between", "prose", "code", "--steps", 3, "--seed", 1, "--length", 20)
    assert path.returncode == 0, path.stderr
    assert [line for line in path.stdout.decode().split("\n") if line.startswith("==>")] == [
        f"==> {step} of 3 <==" for step in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--z 1,2", "8 numbers"),
        ("--z 1,x", "whole numbers"),
        ("--temperature nan", "temperature"),
        ("--temperature -1", "temperature"),
        ("--preset 4", "preset must be 0 to 3"),
        ("--length 1e9", "--length"),
        ("-n 0", "-n"),
        ("--seed -1", "seed"),
        ("--like /dev/null", "0 bytes"),
        ("--like .", ".: is a directory"),
        ("--like nowhere", "nowhere: No such file"),
        ("--prompt a --prompt-file b", "--prompt-file"),
        ("--steps 3", "--between"),
        ("--between a b -n 2", "-n"),
        ("--between - -", "once"),
        ("text.txt", "text.txt"),
        ("-m nowhere", "nowhere"),
    ],
)
def test_bad_input_gets_one_line(line: str, words: str, call: Run) -> None:
    result = call(*line.split())
    (message,) = result.stderr.decode().splitlines()
    assert (result.returncode, result.stdout) == (1, b"")
    assert message.startswith("vaezip: ")
    assert words in message


def test_a_reader_who_has_gone_ends_it_silently() -> None:
    command = [sys.executable, "-m", "vaezip", "sample", "-m", str(TINY), "--length", "100000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5)  # which comes long before all of it
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(600) == -signal.SIGPIPE
