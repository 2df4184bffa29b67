"""What the metadata of a release says of itself: its addresses, and the README as its long description."""

from __future__ import annotations

import re
from email import message_from_string
from pathlib import Path

__all__ = ["mistakes_in"]

LABELS = {"Changelog", "Documentation", "Issues", "Source"}
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"\]\(([^)\s]+)|^\[[^\]]+\]: *(\S+)|(?:src|href)=\"([^\"]*)", re.MULTILINE)


def mistakes_in(metadata: str, readme: str, repository: Path, site: Path) -> list[str]:
    """Return what is wrong with the text of a METADATA file whose description is to be this README."""
    message = message_from_string(metadata)
    version, described = message["Version"], str(message.get_payload())
    urls = dict(each.split(", ", 1) for each in message.get_all("Project-URL", []))
    if urls.keys() != LABELS:
        return [f"the metadata has the addresses {sorted(urls)}"]
    source, pages = urls["Source"], urls["Documentation"]
    folders = {
        f"{source}/raw/v{version}/": repository,
        f"{source}/blob/v{version}/": repository,
        f"{pages}/en/v{version}/": site,
        f"{pages}/en/stable/": site,
    }
    wrong = [] if urls["Issues"] == f"{source}/issues" else [f"the issues are at {urls['Issues']}, not at {source}"]
    if _CODE.findall(described) != _CODE.findall(readme):
        wrong.append("the code of the long description is not that of the README")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", described)
    wrong += [f"no page shows {each}" for each in pictures if not each.startswith(f"{source}/raw/v{version}/")]
    linked = targets_in(described)
    if len(linked) != len(targets_in(readme)):
        wrong.append("the long description has other links than the README")
    for target, meant in [*zip(linked, targets_in(readme), strict=False), (urls["Changelog"], "CHANGELOG.md")]:
        is_own = target.startswith((f"{source}/", f"{pages}/")) or not meant.startswith(("https:", "#"))
        folder = next((each for each in folders if target.startswith(each)), None)
        file = target.removeprefix(folder or "").partition("#")[0]
        if is_own and (folder is None or not (folders[folder] / file).is_file()):
            wrong.append(f"{target} leads to nothing of this release, and is to lead to {meant}")
    return wrong


def targets_in(text: str) -> list[str]:
    """Return where the links and pictures of a text lead."""
    return ["".join(each) for each in _TARGET.findall(_CODE.sub("", text))]
