"""Count what becomes of a million mutated frames and ten thousand mutated models.

    python fuzz/mutate.py --frames 1000000 --models 10000 --workers 2

The same numbers give the same inputs: input i depends on --seed and i alone, so `--first 123456 --frames 1`
tries one of them again. Frames are the golden files and some short ones, damaged by chance, or with one field
or payload changed and every checksum but the content's made right again. Models are the tiny one, its bytes
or header damaged, or its tensors and sizes changed and its self-test made right again. What is counted,
beside the classes of errors that frames are refused by:

unchanged  the mutation made no difference
right      decoded to the text that was there before, as where only an ignorable flag changed
WRONG      decoded to another text. Nothing but a checksum tells: one of 24 bits in a coded block of up to
           1024 bytes, else one of 32. So of those that come as far as the checksum, one in 2^24 gets by. How
           many that lets expect is printed, as if every IntegrityError were a short block's last resort:
           many of them are found sooner, when a quantile lies in no interval, or are longer.
refused    models: by ModelError
accepted   models that work, all engines making the same of them
VIOLATION  whatever is no VaezipError (of a model: no ModelError), or engines that disagree
CRASH      a worker died; the inputs that it may have had in hand are named

WRONG, VIOLATION and CRASH ought to be zero; else the status is 1. The fastest path of the kernel decodes
every frame, all others that this machine has every 10th, the reference every 100th, if it is short. With
--sanitize the kernel is built with gcc's address and undefined-behaviour sanitizers, and an error of that
kind is a crash.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SANITIZED = ROOT / "build" / "fuzz-sanitized"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g -O1"
_OTHERS_EVERY, _REFERENCE_EVERY = 10, 100
_PIECES = (1, 1, 1, 2, 2, 3, 4)  # changes of tensors per model


class Tally(NamedTuple):
    """The tally of some inputs."""

    counts: Counter[str]
    remarkable: list[str]  # what is worth looking at
    slowest: tuple[float, int]  # seconds, and which input it was


def try_frame(rng: random.Random, number: int) -> tuple[str, bytes]:
    """The result of a mutated frame, and the frame."""
    from changes import damaged, forged
    from targets import decoded

    seeds = _frame_seeds()
    whole = rng.choice(list(seeds))
    data = forged(rng, whole) if rng.random() < 0.3 else damaged(rng, whole, list(seeds))
    label, content = decoded(
        data, ask_others=number % _OTHERS_EVERY == 0, ask_reference=number % _REFERENCE_EVERY == 0
    )
    if label == "decoded":
        label = "right" if content == seeds[whole] else "WRONG"
        label = "unchanged" if data == whole else label
    return label, data


def try_model(rng: random.Random) -> tuple[str, bytes]:
    """The result of a mutated model, and the input of `targets.models` that it was made of."""
    from changes import PIECE, TINY, damaged
    from targets import models

    kind = rng.random()
    if kind < 0.6:
        data = b"\2" + rng.randbytes(PIECE * rng.choice(_PIECES))
    elif kind < 0.8:
        at, removed = rng.randrange(9000), rng.choice((0, 1, 2, 8))
        put = rng.choice((b"", rng.randbytes(2), b"0", b"-", b"9", b"null", b'"', b"{", b"[", b"\\ud800"))
        data = b"\1" + at.to_bytes(2, "little") + bytes([removed]) + put
    else:
        file = TINY.read_bytes()
        data = b"\0" + damaged(rng, file, [file])
    return models(data), data


_seeds: dict[bytes, bytes] = {}


def _frame_seeds() -> dict[bytes, bytes]:
    if not _seeds:
        from targets import frame_seeds

        _seeds.update(frame_seeds())
    return _seeds


def work(kind: str, seed: int, first: int, last: int) -> Tally:
    """Try inputs first ... last - 1."""
    tally, slowest = Tally(Counter(), [], (0.0, first)), (0.0, first)
    for i in range(first, last):
        rng = random.Random(f"{seed} {kind} {i}")
        began, data = time.perf_counter(), b""
        try:
            label, data = try_frame(rng, i) if kind == "frames" else try_model(rng)
        except Exception as error:
            label = f"VIOLATION: {type(error).__name__}"
            tally.remarkable.append(f"{kind} {i}: {error!r}"[:500])
        if label == "WRONG":
            tally.remarkable.append(f"{kind} {i}: decoded to another text: {data.hex()}")
        tally.counts[label] += 1
        slowest = max(slowest, (time.perf_counter() - began, i))
    return tally._replace(slowest=slowest)


def _parts(first: int, count: int, step: int) -> Iterator[tuple[int, int]]:
    for at in range(first, first + count, step):
        yield at, min(at + step, first + count)


def run(kind: str, seed: int, first: int, count: int, workers: int) -> Tally:
    """Try many inputs, in processes; those of a process that dies are counted as one crash."""
    total, slowest = Tally(Counter(), [], (0.0, first)), (0.0, first)
    parts = list(_parts(first, count, 1000 if kind == "frames" else 50))
    while parts:
        with ProcessPoolExecutor(workers) as pool:
            pending = {pool.submit(work, kind, seed, *part): part for part in parts}
            broken = []
            for future in as_completed(pending):
                try:
                    tally = future.result()
                except BrokenProcessPool:
                    broken.append(pending[future])
                    continue
                total.counts.update(tally.counts)
                total.remarkable.extend(tally.remarkable)
                slowest = max(slowest, tally.slowest)
        if broken:
            total.counts["CRASH"] += 1
            had = ", ".join(f"{a}...{b - 1}" for a, b in sorted(broken)[:workers])
            total.remarkable.append(f"{kind}: a worker died, with one of these in hand: {had}")
        parts = sorted(broken)[workers:]  # those that nobody had begun
    return total._replace(slowest=slowest)


def report(kind: str, tally: Tally, seconds: float) -> bool:
    """Print a tally; whether all was as it should be."""
    count = sum(tally.counts.values())
    print(
        f"{count} mutated {kind} in {seconds:.0f} s; number {tally.slowest[1]} took {tally.slowest[0]:.2f} s"
    )
    for label, n in tally.counts.most_common():
        print(f"  {label:20} {n}")
    if kind == "frames":
        expected = tally.counts["IntegrityError"] / 2**24
        print(f"  {'WRONG':20} {tally.counts['WRONG']} (expected by chance: at most {expected:.4f})")
    for line in tally.remarkable:
        print(f"  {line}")
    return not tally.remarkable


def sanitized(arguments: list[str]) -> int:
    """Build the kernel under sanitizers, and run this script on it."""
    shutil.rmtree(SANITIZED, ignore_errors=True)
    for part in ("vaezip", "models", "fuzz", "tests/data"):
        ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
        shutil.copytree(ROOT / part, SANITIZED / part, ignore=ignored)
    for part in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / part, SANITIZED / part)
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=SANITIZED, env={**os.environ, "CFLAGS": FLAGS}, check=True)
    runtime = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
    environment = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    environment["PYTHONPATH"] = str(SANITIZED)
    command = [sys.executable, str(SANITIZED / "fuzz" / "mutate.py"), *arguments]
    return subprocess.run(command, cwd=SANITIZED, env=environment, check=False).returncode


def main() -> int:
    """Parse the command line, try, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("frames", 0), ("models", 0), ("workers", 1), ("seed", 0), ("first", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sanitize", action="store_true", help="on a kernel built with sanitizers")
    options = parser.parse_args()
    if options.sanitize:
        return sanitized([argument for argument in sys.argv[1:] if argument != "--sanitize"])
    well = True
    for kind in ("frames", "models"):
        if count := getattr(options, kind):
            began = time.monotonic()
            tally = run(kind, options.seed, options.first, count, options.workers)
            well &= report(kind, tally, time.monotonic() - began)
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
