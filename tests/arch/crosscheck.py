"""Compiles the kernel for other processors, C libraries and compilers, and compares what it computes there.

`python tests/arch/crosscheck.py` needs Debian's cross-compilers and qemu's user emulation. What is missing it installs with
apt-get where it may; else it says which machines it passed over, which is an error if ARCH_STRICT is set.
`python tests/arch/crosscheck.py --record` writes anew what should come out, as Python computes it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from vaezip.ans import AnsStack
from vaezip.model import Model, load_model
from vaezip.network.ops import Linear

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KERNEL = ROOT / "vaezip" / "kernel"
RECORD = HERE / "record.json"
MODELS = {"tiny": ROOT / "tests" / "data" / "tiny.vzm", "standard": ROOT / "models" / "standard.vzm"}
TEXTS = ("english", "python", "csv", "chinese")  # of tests/data/texts
LATENTS = (0, 1)  # in all coordinates; number z comes with the mixer's preset z
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


class Target(NamedTuple):
    """A machine: compiler with its options, emulator if there has to be one, Debian's packages of both."""

    name: str
    compiler: str
    options: tuple[str, ...] = ("-O3",)
    emulator: str | None = None
    packages: tuple[str, ...] = ()
    optional: bool = False
    byte_order: str = "<"


def _cross(name: str, triple: str, libc: str, emulator: str, byte_order: str = "<") -> Target:
    packages = (f"gcc-{triple}", f"libc6-dev-{libc}-cross", "qemu-user")
    return Target(name, f"{triple}-gcc", ("-O3",), emulator, packages, byte_order=byte_order)


NATIVE_ORDER = "<" if sys.byteorder == "little" else ">"
TARGETS = (
    Target("gcc -O0", "gcc", ("-O0",), packages=("gcc",), byte_order=NATIVE_ORDER),
    Target("gcc 11", "gcc-11", packages=("gcc-11",), byte_order=NATIVE_ORDER),
    Target("clang", "clang", optional=True, byte_order=NATIVE_ORDER),
    Target("musl", "musl-gcc", packages=("musl-tools",), byte_order=NATIVE_ORDER),
    _cross("aarch64", "aarch64-linux-gnu", "arm64", "qemu-aarch64"),
    _cross("armhf", "arm-linux-gnueabihf", "armhf", "qemu-arm"),
    _cross("i686", "i686-linux-gnu", "i386", "qemu-i386"),
    _cross("riscv64", "riscv64-linux-gnu", "riscv64", "qemu-riscv64"),
    _cross("s390x", "s390x-linux-gnu", "s390x", "qemu-s390x", ">"),
)


def text(name: str) -> bytes:
    """A text that is coded."""
    return (ROOT / "tests" / "data" / "texts" / f"{name}.txt").read_bytes()


def computed(model: Model) -> dict[str, list[str]]:
    """By text and latent, CRC-32 of all intervals and of the coded words, as this Python's vaezip has them."""
    found = {}
    for name in TEXTS:
        x = np.frombuffer(text(name), np.uint8)
        for z in LATENTS:
            latent = np.full(model.architecture.latents, z, np.int32)
            intervals = model.engine.comparison(latent, len(x)).intervals_by_preset(x)
            stack = AnsStack(1)
            stack.push_intervals(intervals[:, z])
            payload = stack.to_bytes()
            words = payload + bytes(-len(payload) % 4)
            found[f"{name} {z}"] = [f"{crc32(b):08x}" for b in (intervals.astype("<i4").tobytes(), words)]
    return found


def dump(model: Model, byte_order: str) -> bytes:
    """What harness.c reads: all that the kernel needs of a model."""
    d, a, p = model.decoder, model.architecture, model.mixer
    parts: list[bytes] = []

    def numbers(*values: int) -> None:
        parts.append(np.array(values, f"{byte_order}i4").tobytes())

    def array(values: np.ndarray, kind: str = "i4") -> None:
        raw = values.astype(byte_order + kind).tobytes()
        numbers(len(raw))
        parts.append(raw + bytes(-len(raw) % 4))

    def linear(layer: Linear) -> None:
        outputs, inputs = layer.weight.shape
        padded = np.zeros((-(-outputs // 16) * 16, -(-inputs // 16) * 16), np.int8)
        padded[:outputs, :inputs] = layer.weight
        numbers(outputs, layer.pre, layer.shift, *padded.shape)
        array(padded, "i1")
        array(layer.multiplier)
        array(layer.bias)

    numbers(
        0x12345678, a.width, a.layers, a.expansion, a.contexts, a.table_dim, len(a.orders), a.word_contexts
    )
    numbers(*a.orders, *a.table_bits, *a.table_offsets[:-1])
    array(d.tables, "i1")
    array(d.byte, "i2")
    for values in (d.norm.table, d.sigmoid, d.tanh, d.exp):
        array(values)
    array(d.tags, "u1")
    linear(d.features)
    linear(d.head)
    for layer in d.layers:
        for part in (layer.gates, layer.out, layer.up, layer.down):
            linear(part)
        array(layer.out_scale)
    array(p.stretch, "i2")
    for values in (p.squash, p.log, p.rate):
        array(values)
    array(p.next, "u1")
    array(p.learning)
    for preset in p.presets:
        for values, kind in zip(preset, ("i4", "i4", "u4", "u4"), strict=True):
            array(values, kind)
    for z in LATENTS:
        for values in d.modulation(np.full((1, a.latents), z, np.int32)):
            array(values[0])
    return b"".join(parts)


def missing(target: Target) -> list[str]:
    """Programs of a target that are not there."""
    programs = [target.compiler, *([target.emulator] if target.emulator else [])]
    return [program for program in programs if shutil.which(program) is None]


def install(targets: list[Target]) -> None:
    """Install what is missing, where that is possible without asking anybody."""
    packages = sorted({package for target in targets if missing(target) for package in target.packages})
    if not packages or shutil.which("apt-get") is None:
        return
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if become_root and (
        shutil.which("sudo") is None or subprocess.run(["sudo", "-n", "true"], check=False).returncode
    ):
        return
    quiet = {
        "stdout": subprocess.DEVNULL,
        "check": False,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    subprocess.run([*become_root, "apt-get", "-q", "update"], **quiet)
    subprocess.run(
        [*become_root, "apt-get", "-q", "-y", "--no-install-recommends", "install", *packages], **quiet
    )


def lines(
    target: Target, folder: Path, dumps: Mapping[tuple[str, str], Path]
) -> Iterator[tuple[str, str, list[str]]]:
    """Compile and run: path, text and latent, and CRCs, with the model's name before the text's."""
    program = folder / target.name.replace(" ", "")
    sources = [HERE / "harness.c", *sorted(KERNEL.glob("*.c"))]
    command = [
        target.compiler,
        *target.options,
        *WARNINGS,
        "-static",
        f"-I{KERNEL}",
        *sources,
        "-o",
        program,
        "-lm",
    ]
    subprocess.run(command, check=True)
    emulator = [target.emulator] if target.emulator else []
    for name in MODELS:
        run = [*emulator, program, dumps[name, target.byte_order], *(folder / name for name in TEXTS)]
        for line in subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
            path, of, z, *found, verdict = line.split()
            yield path, f"{name} {of} {z}", [*found, verdict]


def check(target: Target, folder: Path, dumps: Mapping[tuple[str, str], Path]) -> bool:
    """Whether a target computes what is recorded; says so."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    expected = {
        f"{model} {case}": [*crcs, "decodes"] for model, part in record.items() for case, crcs in part.items()
    }
    seen: dict[str, set[str]] = {}
    wrong = []
    for path, case, found in lines(target, folder, dumps):
        seen.setdefault(path, set()).add(case)
        if found != expected[case]:
            wrong.append(f"{path} {case}")
    complete = bool(seen) and all(cases == set(expected) for cases in seen.values())
    verdict = (
        "as recorded"
        if complete and not wrong
        else f"OTHERWISE: {', '.join(wrong[:4]) or 'cases are missing'}"
    )
    print(f"{target.name}: {', '.join(seen)}: {verdict}", flush=True)
    return complete and not wrong


def main() -> int:
    """Check every target, or record."""
    models = {name: load_model(path) for name, path in MODELS.items()}
    if "--record" in sys.argv[1:]:
        record = {name: computed(model) for name, model in models.items()}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8", newline="\n")
        return 0
    install([target for target in TARGETS if not target.optional])
    passed_over, failed = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder, dumps = Path(name), {}
        for case in TEXTS:
            (folder / case).write_bytes(text(case))
        for model_name, model in models.items():
            for order in "<>":
                dumps[model_name, order] = folder / f"{model_name}{'be' if order == '>' else 'le'}"
                dumps[model_name, order].write_bytes(dump(model, order))
        for target in TARGETS:
            if lacking := missing(target):
                print(f"{target.name}: passed over, there is no {' and no '.join(lacking)}", flush=True)
                passed_over += not target.optional
            else:
                failed += not check(target, folder, dumps)
    return int(failed > 0 or (passed_over > 0 and bool(os.environ.get("ARCH_STRICT"))))


if __name__ == "__main__":
    sys.exit(main())
