"""What `nox -s docs` asks of the site that it has built: `python -m tests.site FOLDER`.

Every public name is in the reference, and the pages, their search among them, need no network.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from sphinx.util.inventory import InventoryFile

import typed_sessions

INNER = {
    "__main__",
    "codec",
    "core",
    "errors",
    "frameworks",
    "mypy_plugin",
    "schema",
    "sealing",
    "server",
    "tools",
}
"""What no program imports. The names of `errors` are those of the package itself."""
PUBLIC_MODULES = (
    "typed_sessions",
    *(f"typed_sessions.{each.name}" for each in iter_modules(typed_sessions.__path__) if each.name not in INNER),
)
SAME_AS_FOR_QUART = {"SecureCookieSessionInterface", "SessionInfo", "field_reset", "session_refused"}
"""Names that the reference shows once."""
SAME_AS_FOR_ASGI = {"EventListener", "SecretKey", "SessionOptions", "SessionSettings"}
FETCHED = re.compile(
    r"<(?:script|link(?! rel=\"canonical\")|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]*\"|@import url\(",
    re.IGNORECASE,
)


def missing_names(folder: Path) -> list[str]:
    inventory = InventoryFile.loads((folder / "objects.inv").read_bytes(), uri="")
    documented = {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}
    return [
        f"{module}.{name}"
        for module in PUBLIC_MODULES
        for name in import_module(module).__all__
        if name != "__version__"
        and f"{module}.{name}" not in documented
        and name not in SAME_AS_FOR_QUART | (SAME_AS_FOR_ASGI if module.endswith(".litestar") else set())
    ]


def fetched_from_elsewhere(folder: Path) -> list[str]:
    return [
        f"{page.relative_to(folder)}: {found}"
        for page in folder.rglob("*")
        if page.suffix in {".html", ".css"}
        for found in FETCHED.findall(page.read_text(encoding="utf-8"))
    ]


def main() -> None:
    folder = Path(sys.argv[1])
    wrong = [f"not in the reference: {name}" for name in missing_names(folder)]
    wrong += [f"needs a network: {found}" for found in fetched_from_elsewhere(folder)]
    if not (folder / "searchindex.js").exists():
        wrong.append("there is no search index")
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
