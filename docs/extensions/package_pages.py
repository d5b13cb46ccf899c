"""Pages from docstrings: one a package, made of the tree as it is.

Sphinx's own apidoc does not let its templates be changed, and its headings
name each thing twice.

Authors
 * The d2v_sb developers 2026
"""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
PACKAGE = DOCS.parent / "d2v_sb"
PAGES = DOCS / "api"
# Commands have a page of their own; what they are made of is nobody's interface.
COMMANDS = {"bulk", "cli", "publishing", "reporting", "serving", "sweeping"}
COMMANDS |= {"benchmark"}
LEFT_OUT = {*COMMANDS, "__main__"}
INDEX = """\
# Modules

From the docstrings, a page a package. Names that a YAML file may hold
(`d2v_sb.lobes.*`, `d2v_sb.pretraining.*`, `d2v_sb.finetuning.*`) are few and
stay; the rest may move between versions. What the commands are made of is not
here.

```{{toctree}}
:maxdepth: 1

{names}
```
"""
HEAD = "# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
PART = """
## {short}

```{{eval-rst}}
.. automodule:: {name}
   :members:
   :show-inheritance:
```
"""


def write_pages(app):
    """Writes the pages, those that are different only."""
    PAGES.mkdir(exist_ok=True)
    packages = [path.parent for path in sorted(PACKAGE.rglob("__init__.py"))]
    names = {_name(p): p for p in packages if p.name not in LEFT_OUT}
    pages = {f"{name}.md": page(path) for name, path in names.items()}
    pages["index.md"] = INDEX.format(names="\n".join(names))
    for old in set(PAGES.iterdir()) - {PAGES / file for file in pages}:
        old.unlink()
    for file, text in pages.items():
        path = PAGES / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def page(folder):
    """The page of a package."""
    text = HEAD.format(name=_name(folder))
    for path in sorted(folder.glob("*.py")):
        if path.stem not in LEFT_OUT | {"__init__"}:
            text += PART.format(short=path.stem, name=_name(path))
    return text


def _name(path):
    """How a file or folder of the package is imported."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def edit_module(app, what, name, obj, options, lines):
    """Leaves out its authors, draws its drawings, names what it exports."""
    if what == "module":
        text = re.sub(r"\n*Authors\n \* .*", "", "\n".join(lines))
        # What is indented there is a drawing.
        text = re.sub(r"\n\n(?=    )", "\n\n::\n\n", text)
        lines[:] = text.split("\n")
        exported = sorted(getattr(obj, "__all__", ()))
        if exported:
            links = ", ".join(_link(name, obj, member) for member in exported)
            lines += ["", f"To be imported from here: {links}.", ""]


def edit_property(app, what, name, obj, options, lines):
    """What stands before a colon is no type, as napoleon takes it to be."""
    types = [line for line in lines if line.startswith(":type: ")]
    if what == "property" and types:
        lines.remove(types[0])
        lines[0] = f"{types[0].removeprefix(':type: ')}: {lines[0]}"


def skip_field(app, what, name, obj, skip, options):
    """A named tuple's fields say nothing but their number."""
    if str(getattr(obj, "__doc__", "")).startswith("Alias for field number"):
        return True


def _link(package, obj, member):
    """A link to where a name of a package is described."""
    home = getattr(getattr(obj, member), "__module__", package)
    return f":py:obj:`{member} <{home}.{member}>`"


def setup(app):
    """Registers the hooks."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", skip_field)
    # Before napoleon, which has 500.
    app.connect("autodoc-process-docstring", edit_module, priority=400)
    # Behind it.
    app.connect("autodoc-process-docstring", edit_property, priority=600)
    return {"parallel_read_safe": True}
