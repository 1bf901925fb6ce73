"""`vaezip map --html`: one page for the browser, which loads nothing and sends nothing."""

from __future__ import annotations

import html
import json

from vaezip.errors import printable
from vaezip.map.atlas import Atlas, Entry
from vaezip.map.picture import STYLE, elements
from vaezip.page_template import fill, read_template

_NEAREST = 5  # files that are shown of each


def page(atlas: Atlas, title: str) -> str:
    """The page of a map."""
    parts = {
        "title": html.escape(printable(title)),
        "summary": html.escape(printable(atlas.summary())),
        "picture": "\n".join(elements(atlas, alone=False)),
        "files": _json(atlas),
    }
    return fill(read_template("vaezip.map").replace("{{style}}", STYLE), parts)


def _json(atlas: Atlas) -> str:
    """The data of the script; no `<` in it could end the element."""
    files = [
        {
            "name": printable(entry.name),
            "latent": _latent(entry),
            "nearest": [
                [other, round(float(atlas.distances[number, other]), 4)]
                for other in atlas.nearest(number)[:_NEAREST]
            ],
        }
        for number, entry in enumerate(atlas.entries)
    ]
    return json.dumps(files).replace("<", "\\u003c")


def _latent(entry: Entry) -> str:
    z = "none, since it is too short" if entry.z is None else " ".join(map(str, entry.z))
    return f"z {z}; preset {entry.preset} of the mixer"
