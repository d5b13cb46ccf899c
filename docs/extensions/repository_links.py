"""Links between files of the repository become links between pages.

A README of a recipe is a page here and a page where the repository is looked
at. Its links are written for the latter: relative to its own folder.

Authors
 * The d2v_sb developers 2026
"""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
WHOLE = re.compile(r"^```\{include\} (\S+)\n```$", re.M)
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
# Parts of a file that have a page of their own.
PARTS = {("README.md", "#results"): "results.md", ("README.md", ""): "index.md"}


def pages():
    """Pages by the file of the repository that each is made of."""
    found = {}
    for page in sorted(DOCS.glob("*.md")):
        for name in WHOLE.findall(page.read_text(encoding="utf-8")):
            found[(DOCS / name).resolve()] = page.name
    return found


def to_page(folder, path, anchor, made_of):
    """The link from a page of docs/ to what a file's link leads to."""
    target = Path(os.path.normpath(folder / path))
    if not target.exists():
        return None  # no link, or a wrong one: Sphinx says so
    part = (os.path.relpath(target, ROOT), anchor)
    if part in PARTS:
        return PARTS[part]
    if target in made_of:
        return made_of[target] + anchor
    return os.path.relpath(target, DOCS) + anchor


def rewrite(text, folder):
    """A text of some folder, with links that hold in docs/."""
    made_of = pages()

    def link(match):
        path, anchor = match[1], match[2] or ""
        target = to_page(folder, path, anchor, made_of)
        return f"]({target})" if target else match[0]

    return LINK.sub(link, text)


def read_page(app, docname, source):
    """Mends the links of a page of docs/."""
    if "/" not in docname:
        source[0] = rewrite(source[0], DOCS)


def read_included(app, relative_path, parent, content):
    """Mends the links of a file that a page includes."""
    folder = Path(os.path.normpath(DOCS / relative_path)).parent
    content[0] = rewrite(content[0], folder)


def setup(app):
    """Registers the hooks."""
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    return {"parallel_read_safe": True}
