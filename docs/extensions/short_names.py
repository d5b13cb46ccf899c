"""Types in docstrings, named without their module, lead to the right class.

Sphinx takes anything of that name, a property too, and of two the first.

Authors
 * The d2v_sb developers 2026
"""

from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

CLASSES = {"class", "exception"}


class ShortNames(SphinxPostTransform):
    """Completes the names, or drops the link where two would do."""

    default_priority = 5  # before references are resolved, at 10

    def run(self, **kwargs):
        """Goes through all references of a page."""
        objects = self.env.domains.python_domain.objects
        classes = [n for n, entry in objects.items() if entry[2] in CLASSES]
        for node in list(self.document.findall(addnodes.pending_xref)):
            short = node.get("reftarget", "")
            is_type = node.get("refdomain") == "py"
            if not is_type or node["reftype"] != "class" or "." in short:
                continue
            found = nearest(node.get("py:module") or "", short, classes)
            if len(found) == 1:
                node["reftarget"] = found[0]
            else:
                node.replace_self(node.children)


def nearest(module, short, classes):
    """Classes of a name: of the module, else of its package, else all."""
    found = [name for name in classes if name.endswith(f".{short}")]
    package = module.rpartition(".")[0]
    for home in (f"{module}.{short}", f"{package}."):
        near = [name for name in found if name.startswith(home)]
        if near:
            return near
    return found


def setup(app):
    """Registers the transform."""
    app.add_post_transform(ShortNames)
    return {"parallel_read_safe": True}
