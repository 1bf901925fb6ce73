"""Look for inputs that break a reader: `make fuzz MINUTES=5`, or `python fuzz/run.py --minutes 5`.

Each target of `targets.py` gets its share of the time. With atheris (https://github.com/google/atheris) the
search is guided by which lines of vaezip an input reaches, and goes on from one run to the next: its
corpus and what it found lie in build/fuzz. Where atheris is not installed, Hypothesis draws the inputs. Ends
with status 1 if anything was found; an input that was found is tried again by

    python fuzz/run.py --target frames FILE
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

from vaezip.errors import VaezipError

BUILD = Path(__file__).resolve().parent.parent / "build" / "fuzz"
NAMES = ("frames", "payloads", "texts", "models")
MAX_LENGTH = 4096  # bytes of an input
TIMEOUT = 30  # seconds for one
MEMORY = 1024  # MB, all told


def coverage_guided(name: str, seconds: int) -> None:
    """Run a target under libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["vaezip"], exclude=["vaezip.mixing"]):  # it is slow enough
        from targets import TARGETS
    from changes import damaged, forged

    target, seeds = TARGETS[name]

    def mutated_frame(data: bytes, most: int, seed: int) -> bytes:
        """Half of the time, a change that keeps the headers' checksums right, or that damages a frame."""
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        try:
            return forged(rng, data)[:most]
        except VaezipError:  # it is no frame any more
            return damaged(rng, data, seeds())[:most]

    corpus = BUILD / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": MAX_LENGTH,
        "timeout": TIMEOUT,
        "rss_limit_mb": MEMORY,
        "print_final_stats": 1,
        "verbosity": 0,
        "artifact_prefix": f"{BUILD}/{name}-",
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    mutator = {"custom_mutator": mutated_frame} if name == "frames" else {}
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], lambda data: target(data) and None, **mutator)
    atheris.Fuzz()


def drawn(name: str, seconds: int) -> None:
    """Run a target on what Hypothesis draws: bytes, and seeds with some bytes changed."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from targets import TARGETS

    target, seeds = TARGETS[name]
    edits = st.lists(
        st.tuples(st.integers(0, MAX_LENGTH), st.integers(0, 8), st.binary(max_size=8)), max_size=4
    )

    def edited(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for at, removed, put in changes:
            at %= len(seed) + 1
            seed = seed[:at] + put + seed[at + removed :]
        return seed

    inputs = st.binary(max_size=MAX_LENGTH) | st.builds(edited, st.sampled_from(seeds()), edits)
    end, count = time.monotonic() + seconds, 0

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def check(data: bytes) -> None:
        nonlocal count
        count += 1
        target(data)

    while time.monotonic() < end:
        check()
    print(f"{name}: {count} inputs")


def main() -> int:
    """Run the targets one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5, help="time for all targets together")
    parser.add_argument("--target", choices=NAMES, help="only this one")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", type=Path, help="try these inputs, and no others")
    options = parser.parse_args()
    guided = importlib.util.find_spec("atheris") is not None
    if options.files:
        from targets import TARGETS

        for path in options.files:
            print(f"{path}: {TARGETS[options.target or 'frames'][0](path.read_bytes())}")
        return 0
    chosen = [options.target] if options.target else list(NAMES)
    seconds = max(1, round(60 * options.minutes / len(chosen)))
    if options.alone:
        (coverage_guided if guided else drawn)(chosen[0], seconds)
        return 0
    if not guided:
        print("atheris is not installed (pip install atheris): Hypothesis draws the inputs instead, unguided")
    BUILD.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in chosen:
        print(f"{name}: {seconds} seconds", flush=True)
        command = [sys.executable, __file__, "--alone", "--target", name, "--minutes", str(seconds / 60)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "nothing was found")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
