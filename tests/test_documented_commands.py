"""What pages have readers type into a shell, and write into files of settings: the tools take it."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT, USER_PAGES, blocks_of, fences_of, text_of
from tests.valkey_servers import valkey
from typed_sessions.mypy_plugin import read_settings
from typed_sessions.stores import check_url
from typed_sessions.tools.cli import _parser

TRIED_ELSEWHERE = {
    ("explanation/security.md", "text"),
    ("how-to/changing-a-schema.md", "text"),  # tests/test_docs.py
    ("how-to/run-on-postgresql.md", "sql"),  # tests/test_docs.py
    ("how-to/run-on-redis.md", "text"),  # below
    ("how-to/templates.md", "html"),  # tests/test_docs.py
    ("how-to/test-your-app.md", "ini"),  # tests/test_testing_kit.py
    ("tutorial/index.md", "py"),  # tests/test_docs.py
}
OF_OTHERS = {"cd", "createdb", "createuser", "curl", "docker", "install", "mypy", "pytest", "sqlite3", "umask", "unset"}
"""Programs whose arguments are theirs to judge."""
COMMANDS = [
    pytest.param(line, id=f"{page}: {line}")
    for page, blocks in [
        (
            "README.md",
            re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE),
        ),
        *((page, blocks_of(page, "sh")) for page in USER_PAGES),
    ]
    for block in blocks
    for line in block.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def test_every_block_is_tried() -> None:
    kinds = {(page, kind) for page in USER_PAGES for kind in fences_of(page)}
    others = {each for each in kinds if each[1] not in {"python", "sh", "toml"} and each != ("how-to/types.md", "ini")}
    assert others == TRIED_ELSEWHERE & kinds
    assert sum(map(len, (re.findall(r"^```$", text_of(page), re.MULTILINE) for page in USER_PAGES))) > 100


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one(line: str) -> None:
    for inner in re.findall(r"\$\((.*?)\)", line):
        test_a_command_is_one(inner)
    line = re.sub(r" >>? [\w.]+$", "", re.sub(r"\$\(.*?\)", "inner", line))
    for command in line.removesuffix("&").split("&&"):
        words = shlex.split(command.removeprefix("export "), comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            assert not name.endswith("STORE") or check_url(value.split("?table=")[0])
        if words:
            try_command(Path(words[0]).name, words[1:])


def try_command(program: str, arguments: list[str]) -> None:
    match program, arguments:
        case "pip", ["install", *packages]:
            names = [each for each in packages if each[0] not in "-." and each != "constraints.txt"]
            assert all(
                re.fullmatch(r"typed_sessions(\[[\w,]+\])?|mypy|pytest|pytest-asyncio|httpx2|uvicorn", each)
                for each in names
            )
            extras = {*",".join(re.findall(r"\[([\w,]+)\]", " ".join(packages))).split(",")} - {""}
            assert extras <= project()["optional-dependencies"].keys()
        case "git", ["clone", address]:
            assert address == project()["urls"]["Source"]
        case "typed-sessions", _:
            _parser().parse_args(arguments)
        case "uvicorn", [app]:
            assert app == "shop:app"
        case "quart" | "flask", ["--app", app, "run", *options]:
            assert app in {"shop", "shop:create_app"}
            assert options == [] or options[0] == "--port"
        case "python", [script, *_] if script.endswith(".py"):
            assert any(f"```python\n# {script}\n" in text_of(page) for page in USER_PAGES)
        case "python" | "python3", ["-c", code]:
            exec(code, {})  # noqa: S102 -- the page's own code
        case "python" | "python3", [*_, "-m", module] | ["-m", module, *_]:
            assert find_spec(module)
        case _:
            assert program in OF_OTHERS


def project() -> dict[str, Any]:
    metadata: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return metadata


@pytest.mark.parametrize(("kind", "name"), [("ini", "mypy.ini"), ("toml", "pyproject.toml")])
def test_the_plugin_takes_the_settings_of_the_page(kind: str, name: str, tmp_path: Path) -> None:
    for block in blocks_of("how-to/types.md", kind):
        (tmp_path / name).write_text(block, encoding="utf-8")
        settings = read_settings(str(tmp_path / name))
        assert {*settings.schemas.values()} & {"shop.Visitor", "shop.schema.Visitor"}
        assert settings.schema_for("shop.views")


def test_a_server_takes_the_settings_of_the_page(tmp_path: Path) -> None:
    (block,) = blocks_of("how-to/run-on-redis.md", "text")
    settings = dict(line.replace("-", "_").split(" ", 1) for line in block.splitlines())
    with valkey(tmp_path, port=0, **settings) as server:
        assert server.is_running()
