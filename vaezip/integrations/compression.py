"""`.vz` as one of the compressions that fsspec and smart_open know by suffix."""

from __future__ import annotations

import os
from typing import IO, Any, cast

from vaezip.fileobject import VaezipFile
from vaezip.naming import SUFFIX


class ClosingFile(VaezipFile):
    """A VaezipFile that closes the stream below when it is closed itself, and has a size, as fsspec asks."""

    @property
    def size(self) -> int:
        """Bytes of content; raises io.UnsupportedOperation unless the file is read and can seek."""
        here = self.tell()
        end = self.seek(0, os.SEEK_END)
        self.seek(here)
        return end

    def close(self) -> None:
        """Close it as any VaezipFile, and the stream below."""
        below = self._file
        try:
            super().close()
        finally:
            if below is not None:
                below.close()


def wrap(file: IO[bytes], mode: str, **options: Any) -> IO[bytes]:
    """A file object for what a stream holds, or will hold. options: as of `vaezip.open`.

    What `vz://` opened is left as it is: of a chained URL, fsspec infers a compression once more.
    """
    return file if isinstance(file, ClosingFile) else cast(IO[bytes], ClosingFile(file, mode, **options))


def register_with_fsspec() -> None:
    """Register with fsspec, for `fsspec.open(..., compression="vz")`, or "infer"."""
    from fsspec.compression import register_compression

    register_compression(SUFFIX[1:], wrap, SUFFIX[1:], force=True)


def register_with_smart_open() -> None:
    """Register with smart_open, for `smart_open.open`."""
    from smart_open import register_compressor
    from smart_open.compression import get_supported_extensions

    if SUFFIX not in get_supported_extensions():
        register_compressor(SUFFIX, wrap)
