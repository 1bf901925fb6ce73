"""Pages for the browser that load nothing and send nothing: their content security policy forbids it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources


def read_template(package: str) -> str:
    """The `page.html` of a package."""
    return resources.files(package).joinpath("page.html").read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The page: in place of each `{{name}}` that part, as it is.

    `{{style_hash}}` and `{{script_hash}}` are those of the template's own style and script: the browser is
    to apply and run nothing else.
    """
    hashes = {f"{element}_hash": _hash(template, element) for element in ("style", "script")}
    return re.sub(r"\{\{(\w+)\}\}", lambda place: {**parts, **hashes}[place[1]], template)


def _hash(template: str, element: str) -> str:
    found = re.search(rf"<{element}>(.*?)</{element}>", template, re.DOTALL)
    assert found is not None
    return base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
