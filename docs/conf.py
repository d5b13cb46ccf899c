"""How Sphinx makes the site: ``make docs``.

Authors
 * The d2v_sb developers 2026
"""

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

from d2v_sb import __version__  # noqa: E402

project = "d2v_sb"
author = "The d2v_sb developers"
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    # Ours, in extensions/.
    "command_help",
    "package_pages",
    "repository_links",
    "short_names",
]
exclude_patterns = []
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
# A class is described where it is written; packages name what they export.
autodoc_default_options = {"ignore-module-all": True}
# Extras that may not be installed where the site is built.
autodoc_mock_imports = [
    name
    for name in ("av", "gradio", "kenlm", "pygtrie", "tensorboard")
    if find_spec(name) is None
]
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"d2v_sb {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
highlight_language = "text"  # of a block that does not say
pygments_style = "friendly"
pygments_dark_style = "monokai"
