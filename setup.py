"""What pyproject.toml cannot say: how the C kernel is built. cffi reads the declarations from its headers."""

import re
from pathlib import Path

from cffi import FFI
from setuptools import setup

FOLDER = Path("vaezip/kernel")
HEADERS = ("ans", "product", "network", "contexts", "mixer", "predictor", "training")  # what Python sees


def declarations() -> str:
    """The headers without what only a preprocessor understands."""
    lines = []
    for part in HEADERS:
        for line in (FOLDER / f"{part}.h").read_text().splitlines():
            if not re.match(r"#(include|ifndef|endif|define \w+_H$|define \w+\()", line):
                lines.append(re.sub(r"^(#define \w+ \w+).*", r"\1", line))
    return "\n".join(lines)


ffi = FFI()
ffi.cdef(declarations())
ffi.set_source(
    "vaezip.kernel._kernel",
    "\n".join(f'#include "{part}.h"' for part in HEADERS),
    sources=sorted(map(str, FOLDER.glob("*.c"))),
    depends=[str(header) for header in FOLDER.glob("*.h")],
    include_dirs=[str(FOLDER)],
    extra_compile_args=["-O3"],
)
kernel = ffi.distutils_extension()
kernel.optional = True  # without a compiler, numpy and Python do the same work
setup(ext_modules=[kernel])
