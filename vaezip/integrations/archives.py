"""`.tar.vz` for shutil: `make_archive("backup", "vztar", folder)`, `unpack_archive("backup.tar.vz")`."""

from __future__ import annotations

import os
import shutil
import tarfile
from contextlib import suppress
from typing import Any

from vaezip.errors import FormatError
from vaezip.fileobject import VaezipFile
from vaezip.files import Identity, identity
from vaezip.naming import SUFFIX
from vaezip.outputs import open_target

_NAME, _SUFFIX = "vztar", ".tar" + SUFFIX


def register() -> None:
    """Register `vztar` with shutil, whose "xztar" it is like."""
    if _NAME not in (entry[0] for entry in shutil.get_unpack_formats()):
        shutil.register_archive_format(_NAME, make_archive, [], "vaezip'ed tar-file")
        shutil.register_unpack_format(_NAME, [_SUFFIX], unpack_archive, [], "vaezip'ed tar-file")


class _Archive(tarfile.TarFile):
    """Leaves out a file: itself, as it is being written."""

    left_out: Identity

    def gettarinfo(self, name: Any = None, arcname: Any = None, fileobj: Any = None) -> Any:
        if identity(os.lstat(name)) == self.left_out:
            return None
        return super().gettarinfo(name, arcname, fileobj)


def make_archive(
    base_name: str,
    base_dir: str,
    *,
    root_dir: str | None = None,
    owner: str | None = None,
    group: str | None = None,
    dry_run: bool = False,
    logger: Any = None,
) -> str:
    """Write `base_name`.tar.vz, whole or not at all; parameters and result are what shutil asks of a format.

    Raises FileError if it cannot be written, and OSError if something cannot be read.
    """
    name = base_name + _SUFFIX
    if logger is not None:
        logger.info("%s %s", "would create" if dry_run else "creating", name)
    if dry_run:
        return name
    os.makedirs(os.path.dirname(name) or os.curdir, exist_ok=True)
    uid, gid = _user(owner), _group(group)
    with open_target(name, overwrite=True) as sink:

        def owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
            if owner is not None and uid is not None:
                info.uid, info.uname = uid, owner
            if group is not None and gid is not None:
                info.gid, info.gname = gid, group
            return info

        packed = VaezipFile(sink, "w", threads=0)
        with packed, _Archive.open(name, "w|", packed) as archive:
            archive.left_out = identity(os.fstat(sink.fileno()))
            archive.add(os.path.join(root_dir or "", base_dir), base_dir, filter=owned)
    return name if root_dir is None else os.path.abspath(name)


# Python 3.10.6 and later then need not change the working directory, which all threads share.
make_archive.supports_root_dir = True  # type: ignore[attr-defined]


def unpack_archive(filename: str, extract_dir: str, *, filter: Any = "data") -> None:
    """Extract a `.tar.vz`. filter: as in `tarfile.TarFile.extractall`; "data" lets nothing leave the folder.

    Raises shutil.ReadError if it is not a `.tar.vz`, and what `vaezip.open` and tarfile raise.
    """
    try:
        with VaezipFile(filename, threads=0) as packed, tarfile.open(filename, "r|", packed) as archive:
            archive.extractall(extract_dir, filter=filter)
    except (FormatError, tarfile.ReadError) as error:
        raise shutil.ReadError(f"{filename} is not a whole {_SUFFIX}: {error}") from error


def _user(name: str | None) -> int | None:
    """The number of a user; None if there is none, as shutil has it."""
    if name is not None:
        with suppress(ImportError, KeyError):
            import pwd

            return pwd.getpwnam(name).pw_uid
    return None


def _group(name: str | None) -> int | None:
    if name is not None:
        with suppress(ImportError, KeyError):
            import grp

            return grp.getgrnam(name).gr_gid
    return None
