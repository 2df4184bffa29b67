"""The documentation site: `nox -s docs`."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

from typed_sessions import __version__

_PROJECT = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "typed_sessions"
author = "The typed_sessions maintainers"
copyright = author  # noqa: A001 -- Sphinx calls it so
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
default_role = "code"
highlight_language = "python"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the tables of the benchmarks are pasted as they are written

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_theme_options = {
    "source_repository": _PROJECT["urls"]["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_title = f"typed_sessions {release}"
html_static_path: list[str] = []
html_copy_source = False


def keep_colons(_app: Sphinx, what: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon for a type: our docstrings leave types to annotations."""
    for number, line in enumerate(lines):
        begins = number == 0 and what in {"attribute", "property"}
        if begins or lines[number - 1].strip() == "Returns:":
            lines[number] = line.replace(": ", " \N{EN DASH} ", 1)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon
