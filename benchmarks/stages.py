"""Bytes per second of every stage of coding, and how near the network comes to the machine's limit.

    python benchmarks/stages.py [FILE]

Each stage runs alone over the same text, the first 64 KB of FILE (default: tests/data/prose.txt); the median
of five rounds counts, in which the stages take turns. All run on one core, but for the last two, which code
as many such texts at once as there are cores. The last line says how near the network comes to what this
machine can do: the kernel's product alone, again and again with one matrix that stays in the first cache.
Multiplications by zero count as done, though the kernel passes over them where most inputs are 0. Needs a C
compiler.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

from vaezip.ans import AnsStack
from vaezip.at_hand import AtHand
from vaezip.block import decode_block, encode_block
from vaezip.byteio import ByteReader
from vaezip.container import frame_header, read_header
from vaezip.kernel import ffi
from vaezip.kernel import lib as kernel_lib
from vaezip.kernel.predictor import Kernel
from vaezip.model import load_model
from vaezip.workers import in_order, thread_count

KERNEL = Path(__file__).parent.parent / "vaezip" / "kernel"
PARTS = ("product", "decoder", "contexts", "journal", "history", "evidence", "mixer")
ROUNDS = 5
TEXT_BYTES = 64 << 10
DECLARATIONS = """
void run_contexts(uintptr_t tables, const uint8_t *x, int n, int64_t *rows);
void run_network(uintptr_t network, const int32_t *scale, const int32_t *shift, int32_t *state,
                 const uint8_t *x, int n, const int64_t *rows, int32_t *exponentials);
void run_mixer(uintptr_t mixer, const uint8_t *x, int n, const int32_t *exponentials);
void run_products(uintptr_t network, const int8_t *a, int32_t *product, int times);
"""
LOOPS = """
#include "contexts.h"
#include "evidence.h"

static void run_contexts(uintptr_t tables, const uint8_t *x, int n, int64_t *rows) {
    const vz_tables *t = (const vz_tables *)tables;
    vz_context_state c = {0};
    for (int i = 0; i < n; i++, rows += t->order_count + t->words) {
        vz_context_state_slots(&c, t, rows);
        vz_find_rows(t, rows);
        vz_context_state_push(&c, t, x[i]);
    }
}

static void run_network(uintptr_t network, const int32_t *scale, const int32_t *shift, int32_t *state,
                        const uint8_t *x, int n, const int64_t *rows, int32_t *exponentials) {
    const vz_decoder *d = (const vz_decoder *)network;
    vz_modulation modulation = {scale, shift};
    vz_workspace w;
    int complete = vz_workspace_init(&w, d);
    for (int i = 0; complete && i < n; i += VZ_RUN) {
        vz_position at[VZ_RUN];
        int count = n - i < VZ_RUN ? n - i : VZ_RUN;
        for (int k = i; k < i + count; k++, rows += d->contexts)
            at[k - i] = (vz_position){&modulation, state, rows, k ? x[k - 1] : 0};
        vz_decoder_run(d, &w, at, count, exponentials + i * 256);
    }
    vz_workspace_free(&w);
}

static void run_mixer(uintptr_t mixer, const uint8_t *x, int n, const int32_t *e) {
    vz_evidence *evidence = vz_evidence_new((uint32_t)n);
    vz_mixer *m = vz_mixer_new((const vz_mixer_model *)mixer);
    for (int i = 0; evidence && m && i < n; i++) {
        int32_t interval[2];
        vz_evidence_begin(evidence, e + i * 256);
        vz_mixers_intervals(&m, 1, evidence, x[i], interval);
    }
    vz_mixer_free(m);
    vz_evidence_free(evidence);
}

static void run_products(uintptr_t network, const int8_t *a, int32_t *product, int times) {
    const vz_decoder *d = (const vz_decoder *)network;
    for (; times; times--) d->path->multiply(product, &d->head.matrix, a, VZ_RUN);
}
"""


def compiled(folder: str) -> Any:
    """The loops as a module, together with the parts of the kernel that they need."""
    builder = FFI()
    builder.cdef(DECLARATIONS)
    builder.set_source(
        "stages",
        LOOPS,
        sources=[str(KERNEL / f"{part}.c") for part in PARTS],
        include_dirs=[str(KERNEL)],
        extra_compile_args=["-O3"],
    )
    spec = spec_from_file_location("stages", builder.compile(tmpdir=folder))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Time the stages on the file named on the command line."""
    file = sys.argv[1] if len(sys.argv) > 1 else "tests/data/prose.txt"
    text = Path(file).read_bytes()[:TEXT_BYTES]
    model = load_model()
    kernel = Kernel(model.decoder, model.mixer)
    x, z, size = np.frombuffer(text, np.uint8), model.latent.null(), len(text)
    rows = np.empty((size, model.architecture.contexts), np.int64)
    exponentials = np.empty((size, 256), np.int32)
    modulation = model.decoder.modulation(z[None])
    scale, shift, state = (np.ascontiguousarray(part[0]) for part in modulation)
    intervals = model.predictor(z, 0, size).intervals(x)
    header = read_header(ByteReader(io.BytesIO(frame_header(model.fingerprint, size, size))))
    assert header is not None
    compress, decompress = (
        partial(encode_block, model),
        partial(decode_block, AtHand.of(model, None), header),
    )
    coded, cores = compress(text), thread_count(0)
    run, inputs = kernel_lib.VZ_RUN, kernel.decoder.head.matrix.inputs
    a, product = np.zeros((run, inputs), np.int8), np.empty((run, 256), np.int32)
    times = size * model.architecture.multiplications // (run * model.decoder.head.weight.size)
    with tempfile.TemporaryDirectory() as folder:
        stages = compiled(folder)
        lib, at = stages.lib, stages.ffi.from_buffer

        def address(pointer: Any) -> int:
            return int(ffi.cast("uintptr_t", pointer))

        tables, network, mixer = map(address, (kernel.tables, kernel.decoder, kernel.mixers[0]))
        text_at, rows_at, exp_at = at("uint8_t[]", x), at("int64_t[]", rows), at("int32_t[]", exponentials)
        floats = [at("int32_t[]", part) for part in (scale, shift, state)]
        product_at = [at("int8_t[]", a), at("int32_t[]", product)]
        work: dict[str, Callable[[], object]] = {
            "contexts": lambda: lib.run_contexts(tables, text_at, size, rows_at),
            "network": lambda: lib.run_network(network, *floats, text_at, size, rows_at, exp_at),
            "mixer": lambda: lib.run_mixer(mixer, text_at, size, exp_at),
            "coder": lambda: AnsStack().push_intervals(intervals),
            "compressing": lambda: compress(text),
            "decompressing": lambda: decompress(coded),
            "compressing, all cores": lambda: list(in_order(compress, [text] * cores, cores)),
            "decompressing, all cores": lambda: list(in_order(decompress, [coded] * cores, cores)),
            "products alone": lambda: lib.run_products(network, *product_at, times),
        }
        seconds = defaultdict(list)
        for _ in range(ROUNDS):
            for name, run in work.items():
                began = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - began)
    multiplications = model.architecture.multiplications
    print(f"engine {kernel.path}, {size} bytes, {multiplications} multiplications per byte\n")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    report(medians, cores, size, multiplications)


def report(medians: dict[str, float], cores: int, size: int, multiplications: int) -> None:
    """Print what the stages took, in seconds, for a text of `size` bytes."""
    print("| stage | KB/s | µs per byte |\n|---|--:|--:|")
    for name, value in medians.items():
        value /= cores if name.endswith("all cores") else 1
        print(f"| {name} | {size / value / 1e3:.0f} | {value / size * 1e6:.2f} |")
    share = medians["products alone"] / medians["network"]
    rate = multiplications * size / medians["network"] / 1e9
    print(f"\nThe network multiplies at {rate:.1f} billion a second, {100 * share:.0f} % of products alone.")


if __name__ == "__main__":
    main()
