"""`vz://` for fsspec: folders of `.vz` files as if they were not compressed.

`vz://logs/a.log.vz` is a local file; `vz::s3://bucket/a.log.vz` is one on any other file system. Names are
shown without `.vz`, or else whoever goes by suffixes would decompress twice. Sizes are those of the contents,
read from the index at the end of a file: so Dask splits large files, and a part costs its blocks.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any, NoReturn

import fsspec
from fsspec.implementations.local import LocalFileSystem

from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.block_index import BlockIndex
from vaezip.dictionaries.dictionary import DictionaryLike
from vaezip.errors import VaezipError
from vaezip.fileobject import mode_in_full
from vaezip.incremental import VaezipCompressor
from vaezip.integrations.compression import ClosingFile
from vaezip.known_models import ModelLike
from vaezip.naming import SUFFIX

# Before, a chained URL gave a path to some file systems of fsspec's own only, or took the others' from them.
CHAINS = [int(number) for number in re.findall(r"\d+", fsspec.__version__)[:2]] >= [2025, 12]
if CHAINS:
    from fsspec.implementations.chained import ChainedFileSystem
else:
    ChainedFileSystem = fsspec.AbstractFileSystem

_LOCAL = "vz://"
_BELOW = (
    "vz:// removes, copies and moves nothing: do that on the file system below, which is its .fs, "
    f"where names end in {SUFFIX}"
)
# What fsspec itself, and whoever goes by it, may give to any file system, and to `open` of any.
_OF_EVERY_SYSTEM = {
    *("use_listings_cache", "listings_expiry_time", "max_paths", "asynchronous", "loop"),
    *("add_docs", "add_aliases"),
}
_OF_EVERY_FILE = {"cache_type", "default_cache", "fill_cache", "max_blocks", "size"}
_NEAR = 64 << 10  # bytes to fetch at once, where only headers and the index of a remote file are read

Info = dict[str, Any]


def register() -> None:
    """Register with fsspec, where that finds no entry points of vaezip's."""
    fsspec.register_implementation(VaezipFileSystem.protocol, VaezipFileSystem)


class VaezipFileSystem(ChainedFileSystem):  # type: ignore[misc]
    """The `.vz` files of another file system, and its folders; they can be read, and written whole.

    Everything else in a folder is hidden. Files are removed, copied and renamed on the file system below.
    """

    protocol = "vz"

    def __init__(
        self,
        fo: str = "",
        target_protocol: str | None = None,
        target_options: Info | None = None,
        model: ModelLike = None,
        dictionary: DictionaryLike = None,
        threads: int = 1,
        vz_block_size: int = DEFAULT_BLOCK_SIZE,
        **options: Any,
    ) -> None:
        """model, dictionary, threads: as in `vaezip.open`; a path must lead there on every machine.

        vz_block_size: the block_size of `vaezip.open`; that of fsspec is another thing. fo, target_protocol,
        target_options: what fsspec makes of a chained URL. options: fsspec's own; TypeError for others.
        """
        self._coding = {
            "model": model,
            "dictionary": dictionary,
            "threads": threads,
            "vz_block_size": vz_block_size,
        }
        self._refuse(options.keys() - _OF_EVERY_SYSTEM)
        super().__init__(**options)
        if fo and not CHAINS:
            raise NotImplementedError("chained URLs need fsspec 2025.12 or newer")
        self.fs = fsspec.filesystem(target_protocol or "file", **(target_options or {}))
        # Of an instance, since the file system below has rules of its own. That of the class sees whole URLs.
        self._strip_protocol = self._shown_path  # type: ignore[method-assign]

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        path = fsspec.utils.stringify_path(path)
        local = path.removeprefix(_LOCAL)
        if local != path:  # else it is a path, or empty in a chained URL
            path = LocalFileSystem._strip_protocol(local) if local else ""
        return path.removesuffix(SUFFIX)

    def _shown_path(self, path: Any) -> Any:
        if isinstance(path, list):
            return [self._shown_path(each) for each in path]
        return self.fs._strip_protocol(type(self)._strip_protocol(path)).removesuffix(SUFFIX)

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a name."""
        return f"{self.protocol}::{self.fs.unstrip_protocol(self._strip_protocol(name))}"

    def info(self, path: str, **options: Any) -> Info:
        """Information on a folder, or a file and its content's size; FormatError if it is not a `.vz`."""
        path = self._strip_protocol(path)
        folder = self._info_below(path, options)
        if folder is not None and folder["type"] == "directory":
            return folder  # a file of that name is hidden behind it
        info = self._info_below(path + SUFFIX, options)
        if info is not None and info["type"] != "directory":
            return self._shown(info)
        if info is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path + SUFFIX)
        return info  # a folder whose name ends in .vz

    def _info_below(self, path: str, options: Info) -> Info | None:
        try:
            return dict(self.fs.info(path, **options))
        except FileNotFoundError:
            return None

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """The files in a folder. The size of one that is damaged or cannot be read is None."""
        found = [self.info(path)]
        if found[0]["type"] == "directory":
            every = self.fs.ls(found[0]["name"], detail=True, **options)
            found = [info for info in every if info["type"] == "directory"]
            names = {info["name"] for info in found}
            files = [info for info in every if _is_ours(info) and _stem(info) not in names]
            found += [self._shown(info, damaged_too=True) for info in files]
        return sorted(found, key=lambda i: i["name"]) if detail else sorted(info["name"] for info in found)

    def _shown(self, info: Info, damaged_too: bool = False) -> Info:
        size = None
        if info["size"] is not None:
            try:
                size = self._content_size(info["name"])
            except (VaezipError, OSError):
                if not damaged_too:
                    raise
        return {**info, "name": _stem(info), "size": size}

    def _content_size(self, name: str) -> int:
        with self.fs.open(name, "rb", block_size=_NEAR) as file:
            try:
                return BlockIndex(file).size
            except VaezipError as error:
                raise type(error)(f"{name}: {error}") from error

    def created(self, path: str) -> Any:
        """Of the compressed file, or a folder, on the file system below."""
        return self.fs.created(self._name_below(path))

    def modified(self, path: str) -> Any:
        """Of the compressed file, or a folder, on the file system below."""
        return self.fs.modified(self._name_below(path))

    def _name_below(self, path: str) -> str:
        path = self._strip_protocol(path)
        folder = self._info_below(path, {})
        return path if folder is not None and folder["type"] == "directory" else path + SUFFIX

    def rm_file(self, path: str) -> NoReturn:
        """Raises NotImplementedError, as what goes by it does: `rm`, `mv`."""
        raise NotImplementedError(_BELOW)

    def cp_file(self, path1: str, path2: str, **options: Any) -> NoReturn:
        """Raises NotImplementedError, as what goes by it does: `copy`, `mv`."""
        raise NotImplementedError(_BELOW)

    def rmdir(self, path: str) -> None:
        """On the file system below."""
        self.fs.rmdir(path.removeprefix(_LOCAL))

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        """On the file system below."""
        self.fs.mkdir(path.removeprefix(_LOCAL), create_parents, **options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """On the file system below."""
        self.fs.makedirs(path.removeprefix(_LOCAL), exist_ok)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Info | None = None,
        **options: Any,
    ) -> ClosingFile:
        """As `vaezip.open`; its options are those of this file system unless they are among `options`."""
        if not autocommit:
            raise NotImplementedError("vz:// has no transactions")
        self._refuse(options.keys() - self._coding.keys() - _OF_EVERY_FILE)
        coding = {name: options.pop(name, usual) for name, usual in self._coding.items()}
        coding["block_size"] = coding.pop("vz_block_size")
        if mode_in_full(mode) != "rb":  # what is wrong comes out before a file is emptied
            VaezipCompressor(**coding)
        options.pop("size", None)  # of the content, if it was learned here
        below = self.fs.open(path + SUFFIX, mode, block_size, cache_options, **options)
        try:
            return ClosingFile(below, mode, **coding)
        except BaseException:
            below.close()
            raise

    def _refuse(self, unknown: set[str]) -> None:
        """Raise TypeError for options that nobody would heed."""
        if unknown:
            raise TypeError(
                f"vz:// has no option {min(unknown)}: it has {', '.join(self._coding)}; "
                "what is for the file system below goes into target_options"
            )


def _is_ours(info: Info) -> bool:
    """True for a compressed file; not for one that is twice, whose name would be shown as another's."""
    return info["type"] == "file" and str(info["name"]).endswith(SUFFIX) and not _stem(info).endswith(SUFFIX)


def _stem(info: Info) -> str:
    return str(info["name"]).removesuffix(SUFFIX)
