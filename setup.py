"""What pyproject.toml cannot say: how the C kernel is built, and what is required on which machine."""

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path

from cffi import FFI
from setuptools import setup

KERNEL, TRAINING = Path("vaezip/kernel"), Path("vaezip/training")
HEADERS = [  # what Python sees
    *(
        KERNEL / f"{part}.h"
        for part in ("ans", "range", "product", "decoder", "contexts", "mixer", "predictor")
    ),
    TRAINING / "passes.h",
]
REQUIREMENTS = [
    "cffi>=1.16",
    "click>=8.2",
    "numpy>=1.26,<3",
    "tqdm>=4.64",
]
# The coder. Elsewhere there is nothing to install, and its twin in the kernel or in Python writes the same.
CONSTRICTION = (
    "constriction>=0.5,<0.6; platform_python_implementation == 'CPython' and python_version < '3.15' and ("
    "sys_platform == 'linux' and platform_machine == 'x86_64' or "
    "sys_platform == 'win32' and platform_machine == 'AMD64' or "
    "sys_platform == 'darwin')"
)


def unknown_to_markers() -> bool:
    """Whether this Python is one that constriction is not built for, though the markers would let it pass."""
    musl = sys.platform == "linux" and platform.libc_ver()[0] != "glibc"
    return musl or sys.maxsize < 1 << 32 or bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def declarations() -> str:
    """The headers without what only a preprocessor understands: cffi reads them."""
    lines = []
    for header in HEADERS:
        for line in header.read_text(encoding="utf-8").splitlines():
            if not re.match(r"#(include|ifndef|endif|define \w+_H$|define \w+\()", line):
                lines.append(re.sub(r"^(#define \w+ \w+).*", r"\1", line))
    return "\n".join(lines)


ffi = FFI()
ffi.cdef(declarations())
ffi.set_source(
    "vaezip.kernel._kernel",
    "\n".join(f'#include "{header.name}"' for header in HEADERS),
    sources=sorted(str(source) for folder in (KERNEL, TRAINING) for source in folder.glob("*.c")),
    depends=[str(header) for folder in (KERNEL, TRAINING) for header in folder.glob("*.h")],
    include_dirs=[str(KERNEL), str(TRAINING)],
    extra_compile_args=["/O2", "/std:c11"] if sysconfig.get_platform().startswith("win") else ["-O3"],
)
kernel = ffi.distutils_extension()
# Without a compiler, numpy and Python do the same work; where that would hide a mistake, it can be refused.
kernel.optional = not os.environ.get("VAEZIP_REQUIRE_KERNEL")
setup(
    ext_modules=[kernel],
    install_requires=REQUIREMENTS if unknown_to_markers() else [*REQUIREMENTS, CONSTRICTION],
)
