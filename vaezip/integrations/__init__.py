"""`import vaezip.integrations` makes `.vz` known to shutil and, if they are installed, fsspec and smart_open.

fsspec: `compression="vz"`, told by the suffix, and the file system `vz://` (which fsspec finds by itself, by
an entry point). smart_open: the suffix. shutil: archives of the format "vztar", `.tar.vz`. To import this
again does no harm. docs/recipes.md shows all of it.
"""

from __future__ import annotations

from importlib.util import find_spec

from vaezip.integrations import archives, compression

archives.register()
if find_spec("fsspec"):
    from vaezip.integrations import filesystem

    filesystem.register()
    compression.register_with_fsspec()
if find_spec("smart_open"):
    compression.register_with_smart_open()
