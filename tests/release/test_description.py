"""The addresses of the project, and the README as PyPI shows it, before anything is built."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.pages import DOCS, ROOT
from tests.release.description import mistakes_in

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
URLS: dict[str, str] = PROJECT["project"]["urls"]
SUBSTITUTIONS = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page for each that Sphinx would make."""
    folder = tmp_path_factory.mktemp("site")
    for page in DOCS.rglob("*.md"):
        file = (folder / page.relative_to(DOCS)).with_suffix(".html")
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return folder


def metadata(readme: str = README, urls: dict[str, str] = URLS) -> str:
    """Return what a build makes of a README."""
    for each in SUBSTITUTIONS:
        readme = re.sub(each["pattern"], each["replacement"], readme)
    lines = [
        "Metadata-Version: 2.4",
        "Version: 0.2.0",
        *(f"Project-URL: {label}, {url}" for label, url in urls.items()),
    ]
    return "\n".join([*lines, "", readme.replace("$HFPR_VERSION", "0.2.0")])


def test_the_readme_leads_to_what_this_version_has(site: Path) -> None:
    assert mistakes_in(metadata(), README, ROOT, site) == []


@pytest.mark.parametrize(
    "text",
    [
        "[a page](docs/how-to/nowhere.md)",
        "[a file](NOTHING.md)",
        "[a folder](examples)",
        "[a picture](docs/mypy.svg 'which has a title')",
        "![a picture](docs/nothing.svg)",
        "[a file of another version](https://github.com/typed-sessions/typed-sessions/blob/main/README.md)",
        "[a reference]: docs/index.md",
        '<img src="docs/mypy.svg">',
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, site: Path) -> None:
    assert mistakes_in(metadata(README + text), README + text, ROOT, site) != []


@pytest.mark.parametrize("label", URLS)
def test_an_address_that_is_another_one_is_found(label: str, site: Path) -> None:
    other = URLS | {label: URLS[label].replace("typed-sessions", "other", 1)}
    assert mistakes_in(metadata(urls=other), README, ROOT, site) != []
    assert mistakes_in(metadata(urls={key: URLS[key] for key in URLS if key != label}), README, ROOT, site) != []


def test_no_page_names_another_address() -> None:
    """Where the project is published is said by [project.urls]: who moves it has to change what is named here."""
    hosts = {url.split("/")[2] for url in URLS.values()}
    named = re.compile("|".join(rf"https?://(?:[\w-]+\.)*{re.escape(host)}[^\s)\"'`#<>]*" for host in hosts))
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "pyproject.toml"]
    wrong = [
        f"{page.relative_to(ROOT)}: {address}"
        for page in pages
        for address in named.findall(page.read_text(encoding="utf-8"))
        if not address.startswith((URLS["Source"], URLS["Documentation"]))
    ]
    assert wrong == []
