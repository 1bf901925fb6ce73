"""What training reads, and in which order: corpora, weights of folders, segments, rows of the tables."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, Run
from test_training import SMALL, pieces

import vaezip
from vaezip.errors import CorpusError
from vaezip.model import parse_model, read_model_file
from vaezip.network.contexts import STRANGERS, context_slots, find_rows
from vaezip.training.data import Corpus, SegmentSource, TextFile, read_corpus
from vaezip.training.dequantise import dequantise
from vaezip.training.evaluate import evaluated
from vaezip.training.owners import choose_owners, settle_owners
from vaezip.training.quantise import quantise
from vaezip.training.rescript import rescript
from vaezip.training.sampler import Sampler
from vaezip.training.vae import Vae


def test_the_sampler_reads_segments_from_start_to_end() -> None:
    data = np.arange(1000, dtype=np.uint64).astype(np.uint8)
    sampler = Sampler(
        SMALL,
        np.zeros(SMALL.table_offsets[-1], np.uint8),
        SegmentSource([TextFile("a/x", data)]),
        3,
        64,
        np.random.default_rng(0),
    )
    before: list[int | None] = [None] * 3
    for _ in range(40):
        chunk = sampler.next()
        for lane in range(3):
            real = chunk.mask[:, lane] == 1
            assert (np.diff(chunk.target[real, lane]) % 256 == 1).all()
            assert (chunk.seen[real, lane][1:] == chunk.target[real, lane][:-1]).all()
            if chunk.fresh[lane]:
                assert chunk.seen[0, lane] == 0
            else:
                assert chunk.seen[0, lane] == before[lane]
            before[lane] = int(chunk.target[-1, lane])


def test_withheld_contexts_are_read_as_strangers() -> None:
    data = np.frombuffer(b"the cat sat on the mat and the rat " * 40, np.uint8)
    tags = choose_owners(
        SMALL, [TextFile("x", data)], np.random.default_rng(0), np.zeros(SMALL.table_offsets[-1], np.uint8)
    )

    def known(dropout: float) -> float:
        source, rng = SegmentSource([TextFile("x", data)]), np.random.default_rng(0)
        sampler = Sampler(SMALL, tags, source, 2, 512, rng, dropout=dropout)
        rows = sampler.next().rows.numpy()
        return float((rows >= np.array(SMALL.table_offsets[:-1]) + STRANGERS).mean())

    assert known(0.5) == pytest.approx(0.5 * known(0), rel=0.05)


def test_a_folder_is_read_as_often_as_its_weight_says() -> None:
    files = [TextFile(f"{name}/x", np.full(5000, ord(name), np.uint8)) for name in "ab"]
    rng = np.random.default_rng(0)
    source = SegmentSource(files, {"b": 3})
    drawn = [int(source.draw(rng, 10)[0]) for _ in range(1000)]
    assert 700 < drawn.count(ord("b")) < 800
    with pytest.raises(CorpusError, match="c: no such folder in the corpus, or no file in it to train on"):
        SegmentSource(files, {"c": 2})


def test_rows_belong_to_the_most_frequent_context() -> None:
    """Of all that hash to a row, most tokens find a row of their own, and the rare ones the strangers'."""
    text = np.frombuffer(b"the cat sat on the mat and the rat " * 40 + b"xyzzy quux", np.uint8)
    nobody = np.zeros(SMALL.table_offsets[-1], np.uint8)
    files = [TextFile("x", text)]
    tags = choose_owners(SMALL, files, np.random.default_rng(0), nobody)
    rows = find_rows(SMALL, context_slots(SMALL, text[None])[0], tags)
    known = rows >= np.array(SMALL.table_offsets[:-1]) + STRANGERS
    assert known[100:1400].mean() > 0.6  # in tables this small, strangers' rows are a quarter or more
    assert not known[-6:, 3].any()  # order 5, met once
    # Other text takes rows over where it has something frequent, and leaves the others alone.

    def taken(times: int, others: int = 0) -> int:
        other = [TextFile("y", np.frombuffer(bytes(range(128)) * times + bytes(others), np.uint8))]
        later = choose_owners(SMALL, other, np.random.default_rng(0), tags)
        return int(((later != tags) & (tags != 0)).sum())

    assert taken(1) == 0
    assert 0 < taken(6) < 0.5 * (tags != 0).sum()
    assert taken(6, others=2 << 20) == 0  # in so much text, 6 times is rare
    assert (choose_owners(SMALL, files, np.random.default_rng(1), tags) == tags).all()


def test_of_much_text_a_sample_chooses_the_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaezip.training.owners._SAMPLE_BYTES", 2000)
    nobody = np.zeros(SMALL.table_offsets[-1], np.uint8)
    files = [TextFile("x", np.frombuffer(b"the cat sat on the mat and the rat " * 400, np.uint8))]
    sampled = choose_owners(SMALL, files, np.random.default_rng(0), nobody)
    monkeypatch.undo()
    everything = choose_owners(SMALL, files, np.random.default_rng(0), nobody)
    assert 0 < (sampled > 0).sum() <= (everything > 0).sum()
    assert (sampled == everything)[sampled > 0].mean() > 0.9


def test_no_more_is_evaluated_than_there_is_time_for() -> None:
    files = [TextFile(name, np.arange(100, dtype=np.uint8)) for name in "abc"]
    assert [len(file.data) for file in evaluated(files, limit=50, per_file=40)] == [40, 10]
    assert [len(file.data) for file in evaluated(files, limit=1000, per_file=40)] == [40] * 3


def test_a_row_that_changes_hands_starts_as_a_stranger(tiny: vaezip.Model) -> None:
    decoder = dequantise(tiny, read_model_file(str(TINY))).decoder
    before, tables = decoder.tags.clone(), decoder.tables.detach().clone()
    settle_owners(decoder, [TextFile("y", np.frombuffer(b"le chat et le rat, " * 900, np.uint8))], 0)
    changed = (decoder.tags != before).numpy()
    assert changed.any()
    assert (decoder.tables[~changed] == tables[~changed]).all()
    offset = decoder.a.table_offsets[-2]
    taken = np.flatnonzero(changed[offset:]) + offset
    assert len(taken)
    assert (decoder.tables[taken] == tables[offset + decoder.tags[taken].int()]).all()


def test_validation_files_stay_apart(corpus: Path) -> None:
    read = read_corpus([corpus])
    names = {f.name for f in read.train}
    assert not names & {f.name for f in read.validation}
    assert read.validation
    assert {name for name, _ in read.skipped} == {"empty", "dangling"}
    more = corpus / "prose" / "more.txt"
    more.write_bytes(b"more text" * 1000)
    kept = {f.name for f in read_corpus([corpus]).train}
    assert names - kept <= {f.name for f in read.validation} | {"prose/more.txt"}


def test_a_file_of_several_names_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "inner").mkdir(parents=True)
    for n in range(9):
        (folder / "inner" / f"{n}.txt").write_bytes(b"text %d " % n * 500)
    os.link(folder / "inner" / "3.txt", folder / "linked.txt")
    (folder / "symlink.txt").symlink_to("inner/4.txt")
    read = read_corpus([folder, folder / "inner", folder / "inner" / "0.txt"])
    texts = [f.data.tobytes() for f in (*read.train, *read.validation)]
    assert len(texts) == len(set(texts)) == 9
    again = [f"{n}.txt" for n in range(9)] + ["0.txt"]
    assert {reason for _, reason in read.skipped} == {"read already"}
    assert sorted(name for name, _ in read.skipped) == sorted([*again, "inner/3.txt", "inner/4.txt"])


def test_of_few_files_one_in_eight_is_kept(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n}.txt").write_bytes(b"some text" * 500)
    read = read_corpus([tmp_path])
    assert (len(read.train), len(read.validation)) == (7, 2)


def test_a_lone_file_is_cut(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(40_000))
    read = read_corpus([tmp_path / "x"])
    assert [len(f.data) for f in (*read.train, *read.validation)] == [36_000, 4_000]


@pytest.mark.parametrize("content", [None, b"", b"tiny"])
def test_useless_corpora_are_named(content: bytes | None, tmp_path: Path, run: Run) -> None:
    if content is not None:
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / "x").write_bytes(content)
    result = run("train", "corpus", "-o", "m.vzm")
    assert result.returncode == 1
    assert result.stderr.decode().startswith("vaezip: corpus: ")
    assert result.stderr.count(b"\n") == 1
    assert not (tmp_path / "m.vzm").exists()


def test_rescript_keeps_the_shape_of_text() -> None:
    text = b"The cat. The CAT, the dog; 123 times."
    seen = set()
    for seed in range(20):
        written = rescript(np.frombuffer(text * 20, np.uint8), np.random.default_rng(seed)).tobytes()
        assert len(written) <= 20 * len(text)
        decoded = written.decode("utf-8", "ignore")
        words = decoded.replace(".", " ").split()
        assert words[0].lower() == words[2].lower()
        assert "123" in decoded
        assert not any(c.isascii() and c.isalpha() for c in decoded)
        seen.add(decoded[0])
    assert len(seen) > 5


def test_a_large_value_does_not_take_the_others_resolution() -> None:
    torch.manual_seed(0)
    vae = Vae(dataclasses.replace(SMALL, table_bits=(16, *SMALL.table_bits[1:])))
    parts = pieces("x", b"It was the best of times, it was the worst of times. " * 40, 1000)

    def kept() -> torch.Tensor:
        data = quantise(vae, Corpus(parts, parts, []), {}, practice_seconds=0)
        return dequantise(parse_model(data, "x"), data).decoder.tables.detach()

    with torch.no_grad():
        vae.decoder.tables.normal_()
        vae.decoder.tables[0, 0] = largest = 9.0
    before, after = vae.decoder.tables.detach(), kept()
    first = slice(1, vae.a.table_offsets[1])
    assert (after - before)[first].square().mean() < 0.5 * (largest / 127) ** 2 / 12
    with torch.no_grad():
        vae.decoder.tables.copy_(after)
    torch.testing.assert_close(kept(), after)  # what is written once is not rounded again
