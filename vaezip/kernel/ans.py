"""The ANS coder in the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.coder import Coder
from vaezip.kernel import ffi as _ffi
from vaezip.kernel import lib as _lib


class KernelCoder(Coder):
    """A `Coder`; used by one thread at a time."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        made = _lib.vz_ans_new(_pointer(words, np.uint32), len(words))
        if made == _ffi.NULL:
            raise MemoryError("no memory for the ANS stack")
        self.handle = _ffi.gc(made, _lib.vz_ans_free)

    def words(self) -> NDArray[np.uint32]:
        """See `Coder`."""
        words = np.empty(_lib.vz_ans_size(self.handle), np.uint32)
        _lib.vz_ans_words(self.handle, _pointer(words, np.uint32))
        return words

    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """See `Coder`."""
        if not _lib.vz_ans_push(self.handle, _pointer(intervals, np.int32), len(intervals)):
            raise MemoryError("no memory for the ANS stack")

    def quantile(self) -> int:
        """See `Coder`."""
        return int(_lib.vz_ans_quantile(self.handle))

    def pop_intervals(self, intervals: NDArray[np.int32]) -> bool:
        """See `Coder`."""
        return bool(_lib.vz_ans_pop(self.handle, _pointer(intervals, np.int32), len(intervals)))


def _pointer(values: NDArray[Any], dtype: type[np.generic]) -> Any:
    kind = np.dtype(dtype).name
    return _ffi.from_buffer(f"{kind}_t[]", np.ascontiguousarray(values, dtype))
