"""Bytes per second of every stage of coding, one core, and how near the network comes to the machine's limit.

    python benchmarks/stages.py [FILE]

Each stage runs alone over the same text, the first 64 KB of FILE (default: README.md); the median of five
rounds counts, in which the stages take turns. Needs a C compiler; it optimises the bare dot products for
this very machine, the kernel's sources as they are shipped.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

from vaezip.ans import AnsStack
from vaezip.bitsback import Coded, decode, encode
from vaezip.kernel import ffi
from vaezip.kernel.predictor import Kernel
from vaezip.model import load_model

KERNEL = Path(__file__).parent.parent / "vaezip" / "kernel"
ROUNDS = 5
TEXT_BYTES = 64 << 10
DOT_BYTES = 4096  # of each vector of the bare dot product: they stay in the first cache
DECLARATIONS = """
void run_contexts(uintptr_t tables, const uint8_t *x, int n, int64_t *rows);
void run_network(uintptr_t network, const int32_t *scale, const int32_t *shift, int32_t *state,
                 const uint8_t *x, int n, const int64_t *rows, int32_t *exponentials);
void run_mixer(uintptr_t mixer, const int32_t *weights, const uint8_t *x, int n, const int32_t *exponentials);
"""
DOT_DECLARATION = "int32_t run_dot(const int8_t *a, const int8_t *b, int n, int times);"
LOOPS = """
#include "contexts.h"
#include "mixer.h"

static void run_contexts(uintptr_t tables, const uint8_t *x, int n, int64_t *rows) {
    const vz_tables *t = (const vz_tables *)tables;
    vz_contexts c = {0};
    for (int i = 0; i < n; i++, rows += t->order_count + t->words) {
        vz_contexts_rows(&c, t, rows);
        vz_contexts_push(&c, t, x[i]);
    }
}

static void run_network(uintptr_t network, const int32_t *scale, const int32_t *shift, int32_t *state,
                        const uint8_t *x, int n, const int64_t *rows, int32_t *exponentials) {
    const vz_network *net = (const vz_network *)network;
    vz_style style = {scale, shift};
    for (int i = 0; i < n; i++, rows += net->contexts, exponentials += 256)
        vz_network_step(net, &style, state, i ? x[i - 1] : 0, rows, exponentials);
}

static void run_mixer(uintptr_t mixer, const int32_t *weights, const uint8_t *x, int n, const int32_t *e) {
    vz_mixer *m = vz_mixer_new((const vz_mixer_model *)mixer, weights, (uint32_t)n);
    for (int i = 0; m && i < n; i++) {
        int32_t below, width;
        vz_mixer_begin(m, e + i * 256);
        vz_mixer_encode(m, x[i] >> 4, &below, &width);
        vz_mixer_encode(m, x[i] & 15, &below, &width);
    }
    vz_mixer_free(m);
}
"""
DOT = """
static int32_t run_dot(const int8_t *a, const int8_t *b, int n, int times) {
    int32_t sum = 0;
    for (; times; times--) {
        for (int i = 0; i < n; i++) sum += a[i] * b[i];
        __asm__ volatile("" ::"r"(a), "r"(b) : "memory");
    }
    return sum;
}
"""


def compiled(folder: str, name: str, declarations: str, code: str, parts: Sequence[str], *flags: str) -> Any:
    """C code as a module, together with those parts of the kernel."""
    builder = FFI()
    builder.cdef(declarations)
    builder.set_source(
        name,
        code,
        sources=[str(KERNEL / f"{part}.c") for part in parts],
        include_dirs=[str(KERNEL)],
        extra_compile_args=["-O3", *flags],
    )
    spec = spec_from_file_location(name, builder.compile(tmpdir=folder))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Time the stages on the file named on the command line."""
    text = (Path(sys.argv[1]) if len(sys.argv) > 1 else Path("README.md")).read_bytes()[:TEXT_BYTES]
    model = load_model()
    kernel = Kernel(model.decoder, model.mixer)
    x, z, size = np.frombuffer(text, np.uint8), model.latent.null(), len(text)
    rows = np.empty((size, model.architecture.contexts), np.int64)
    exponentials = np.empty((size, 256), np.int32)
    style = model.decoder.style(z[None])
    scale, shift, state = (np.ascontiguousarray(part[0]) for part in style)
    weights = model.mixer.initial(z).weights
    intervals = model.predictor(z, size).encode(x)
    coded = Coded(encode(model, text, latent=False).payload, size, False)
    a = np.random.default_rng(0).integers(-127, 128, (2, DOT_BYTES), np.int8)
    times = size * model.architecture.multiplications // DOT_BYTES
    with tempfile.TemporaryDirectory() as folder:
        parts = ("product", "network", "contexts", "mixer")
        stages = compiled(folder, "stages", DECLARATIONS, LOOPS, parts)
        dot = compiled(folder, "dot", DOT_DECLARATION, DOT, (), "-march=native")
        lib, at = stages.lib, stages.ffi.from_buffer

        def address(pointer: Any) -> int:
            return int(ffi.cast("uintptr_t", pointer))

        tables, network, mixer = map(address, (kernel.tables, kernel.network, kernel.mixer))
        text_at, rows_at, exp_at = at("uint8_t[]", x), at("int64_t[]", rows), at("int32_t[]", exponentials)
        floats = [at("int32_t[]", part) for part in (scale, shift, state)]
        vectors = [dot.ffi.from_buffer("int8_t[]", vector) for vector in a]
        work: dict[str, Callable[[], object]] = {
            "contexts": lambda: lib.run_contexts(tables, text_at, size, rows_at),
            "network": lambda: lib.run_network(network, *floats, text_at, size, rows_at, exp_at),
            "mixer": lambda: lib.run_mixer(mixer, at("int32_t[]", weights), text_at, size, exp_at),
            "coder": lambda: AnsStack().push_intervals(intervals),
            "compressing": lambda: encode(model, text, latent=False),
            "decompressing": lambda: decode(model, coded),
            "bare dot products": lambda: dot.lib.run_dot(*vectors, DOT_BYTES, times),
        }
        seconds = defaultdict(list)
        for _ in range(ROUNDS):
            for name, run in work.items():
                started = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"engine {kernel.path}, {size} bytes, {model.architecture.multiplications} multiplications per byte\n"
    )
    print("| stage | KB/s | µs per byte |\n|---|--:|--:|")
    for name, value in medians.items():
        print(f"| {name} | {size / value / 1e3:.0f} | {value / size * 1e6:.2f} |")
    share = medians["bare dot products"] / medians["network"]
    rate = model.architecture.multiplications * size / medians["network"] / 1e9
    print(
        f"\nThe network multiplies at {rate:.1f} billion a second, {100 * share:.0f} % of bare dot products."
    )


if __name__ == "__main__":
    main()
