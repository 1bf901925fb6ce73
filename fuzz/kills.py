"""Ends vaezip at random moments, over and over, and looks for what was lost.

    python fuzz/kills.py --count 1000 --train 20

Each round runs one command in a folder of its own and sends KILL, TERM, INT or HUP somewhere between its
start and a little after its usual end. Then every input must be there, or (with --rm) its output whole; an
output is absent, whole, or (with -f) as it was before; a temporary file may be left by KILL alone; nobody
sees a traceback. A run of training that was ended must go on with --resume, or can be begun again.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import vaezip

ROOT = Path(__file__).parent.parent
TINY = ROOT / "tests" / "data" / "tiny.vzm"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TEXT = (ROOT / "tests" / "data" / "prose.txt").read_bytes() * 2
PACKED = vaezip.compress(TEXT, model=TINY, block_size=4096)
OLD = b"an older output"
TRAINING = ["--epochs", "1", "--width", "16", "--layers", "1", "--table-bits", "12", "--threads", "1"]


@dataclass(frozen=True)
class Case:
    """A command, and what it reads and writes in its folder."""

    name: str
    arguments: tuple[str, ...]
    source: str
    target: str

    @property
    def content(self) -> bytes:
        """The content of the input."""
        return PACKED if self.source.endswith(".vz") else TEXT


CASES = [
    Case(f"{command} {options}".strip(), (command, "--block-size", "4K", *options.split()), "a", "a.vz")
    if command == "compress"
    else Case(f"{command} {options}".strip(), (command, *options.split()), "a.vz", "a")
    for command in ("compress", "decompress")
    for options in ("", "--rm", "-f", "-f --rm", "-T 1")
]


def whole(case: Case, path: Path) -> bool:
    """True if a case's output is all that it should be."""
    data = path.read_bytes()
    return (vaezip.decompress(data, model=TINY) if case.target.endswith(".vz") else data) == TEXT


def end(command: list[str], folder: Path, number: signal.Signals, after: float) -> tuple[int, bytes]:
    """Run a command and send it a signal after some seconds; exit status and standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in SIGNALS[1:]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        _, message = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        _, message = process.communicate()
    return process.returncode, message


def coding(case: Case, number: signal.Signals, after: float, folder: Path) -> list[str]:
    """Run a round of compressing or decompressing; returns what is wrong afterwards."""
    source, target = folder / case.source, folder / case.target
    source.write_bytes(case.content)
    if "-f" in case.arguments:
        target.write_bytes(OLD)
    status, message = end([*case.arguments, "-m", str(TINY), case.source], folder, number, after)
    wrong = []
    left = {path.name for path in folder.iterdir()} - {case.source, case.target}
    if left and number != signal.SIGKILL:
        wrong.append(f"left {left}")
    if any(not name.startswith(".vaezip-") for name in left):
        wrong.append(f"left {left}")
    complete = target.exists() and target.read_bytes() != OLD and whole(case, target)
    if target.exists() and not complete and not ("-f" in case.arguments and target.read_bytes() == OLD):
        wrong.append("an output that is not whole")
    if "-f" in case.arguments and not target.exists():
        wrong.append("the older output is gone")
    if not complete and (not source.exists() or source.read_bytes() != case.content):
        wrong.append("the input is lost")
    if source.exists() and source.read_bytes() != case.content:
        wrong.append("the input was changed")
    if status == 0 and not complete:
        wrong.append("success without an output")
    if is_ours(message):
        wrong.append(message.decode())
    return wrong


def is_ours(message: bytes) -> bool:
    """True for a traceback of ours; of a Ctrl-C before our first line runs, the interpreter shows one."""
    early = message.rstrip().endswith(b"KeyboardInterrupt") and b", in main" not in message
    return b"Traceback" in message and b"vaezip" in message and not early


def training(number: signal.Signals, after: float, folder: Path) -> list[str]:
    """Run a round of training; returns what is wrong afterwards."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for i in range(4):
        (corpus / f"{i}.md").write_bytes(TEXT[i * 5000 : (i + 2) * 5000])
    before = {path.name: path.read_bytes() for path in corpus.iterdir()}
    _, message = end(["train", "corpus", "-o", "m.vzm", *TRAINING], folder, number, after)
    wrong = []
    if {path.name: path.read_bytes() for path in corpus.iterdir()} != before:
        wrong.append("the corpus was changed")
    if is_ours(message):
        wrong.append(message.decode())
    model = folder / "m.vzm"
    if not model.exists():
        saved = any((folder / "m.vzm.train").glob("checkpoint.pt"))
        arguments = ["train", "corpus", "-o", "m.vzm", *(["--resume"] if saved else TRAINING)]
        status, message = end(arguments, folder, signal.SIGKILL, 600)
        if status:
            wrong.append(f"cannot go on: {message.decode()}")
    if not vaezip.compress(TEXT[:1000], model=model):
        wrong.append("no model")
    return wrong


def main() -> int:
    """Run the rounds; the exit status says whether anything was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--train", type=int, default=0, help="how many of them are runs of training")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, seen, failures = random.Random(options.seed), Counter[str](), 0
    usual: dict[str, float] = {}
    for i in range(options.count):
        case = None if i < options.train else rng.choice(CASES)
        name, number = case.name if case else "train", rng.choice(SIGNALS)
        folder = Path(tempfile.mkdtemp())
        began = time.monotonic()
        first = name not in usual  # how long it takes if it is not ended
        after = 3600.0 if first else rng.uniform(0, 1.1 * usual[name])
        wrong = coding(case, number, after, folder) if case else training(number, after, folder)
        if first:
            usual[name] = time.monotonic() - began
        seen[f"{name}, {number.name}"] += 1
        for problem in wrong:
            failures += 1
            print(f"{name}, {number.name} after {after:.3f} s: {problem}", flush=True)
        shutil.rmtree(folder)
    print(f"{options.count} rounds of {len(usual)} commands, {failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
