"""Hooks of the site (mkdocs.yml): files from outside docs/, and nothing from the network.

All pages are written to be read in the repository, too. So their links are those between the repository's
files, and are changed where the site has a file at another place.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
ADDED = {
    "models/standard.md": "models/standard.md",
    "models/large.md": "models/large.md",
    "models/sources.md": "models/sources.md",
    "models/sources.csv": "models/sources.csv",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
ELSEWHERE = {**ADDED, "README.md": "index.md"}  # paths in the repository, and on the site
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#:]+)")
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")

log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside docs/."""
    for path, uri in ADDED.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the site has the repository's file."""
    uri = page.file.src_uri
    here = next((path for path, added in ADDED.items() if added == uri), f"docs/{uri}")

    def moved(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), link["target"]))
        if path not in ELSEWHERE and not path.startswith("docs/"):
            return link["target"]  # not on the site: mkdocs will say so
        target = ELSEWHERE.get(path, path.removeprefix("docs/"))
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse what a browser would load from elsewhere."""
    for element in LOADED.findall(output):
        log.warning("%s loads from the network: %s", page.file.src_uri, element)
    return output
