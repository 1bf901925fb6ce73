"""Objects that cannot be copied: a copy would share what changes in them, a place in a file for example."""

from __future__ import annotations

from typing import NoReturn


class NotCopied:
    """Refuses to be copied or pickled, as file objects and coders of the standard library do."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}")
