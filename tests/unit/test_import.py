"""What importing the package costs, and what it must not bring."""

from __future__ import annotations

import subprocess
import sys

import pytest

import typed_sessions


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 -- this interpreter
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import typed_sessions", "import typed_sessions.serializers"])
def test_the_core_loads_no_framework_and_no_driver(statement: str) -> None:
    loaded = {name.partition(".")[0] for name in modules_after(statement)}
    assert not loaded & {
        "aiosqlite", "asyncio", "blinker", "flask", "hypercorn", "litestar", "mypy", "psycopg", "pydantic", "quart",
        "redis", "sqlite3", "starlette", "werkzeug",
    }  # fmt: skip


def test_the_middleware_of_asgi_loads_no_framework() -> None:
    statement = "from typed_sessions.asgi import Sessions; Sessions(secret_key='k' * 32).middleware(print)"
    loaded = {name.partition(".")[0] for name in modules_after(statement)}
    assert not loaded & {"fastapi", "flask", "litestar", "pydantic", "quart", "starlette", "werkzeug"}


def test_a_schema_of_another_kind_loads_no_pydantic() -> None:
    declared = "from attrs import define\n@define\nclass Visitor:\n    user_id: int | None = None\n"
    assert "pydantic" not in modules_after(f"{declared}import typed_sessions\ntyped_sessions.Schema(Visitor).create()")
    model = "from pydantic import BaseModel\nclass Visitor(BaseModel):\n    user_id: int | None = None\n"
    assert "pydantic" in modules_after(f"{model}import typed_sessions\ntyped_sessions.Schema(Visitor).create()")


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(hasattr(typed_sessions, name) for name in typed_sessions.__all__)
    assert dir(typed_sessions) == sorted(typed_sessions.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Sesion'"):
        typed_sessions.Sesion  # type: ignore[attr-defined]  # the misuse  # noqa: B018


@pytest.mark.parametrize("name", ["serializers.MsgspecJSONSerializer", "errors.SchemaError", "Session", "migration"])
def test_a_public_name_is_found_through_the_package_alone(name: str) -> None:
    assert modules_after(f"import typed_sessions\ntyped_sessions.{name}")


def test_the_plugin_loads_nothing_of_the_runtime() -> None:
    loaded = modules_after("import typed_sessions.mypy_plugin")
    assert not {name.partition(".")[0] for name in loaded} & {"attrs", "cattrs", "itsdangerous", "msgspec"}
    assert {name for name in loaded if name.startswith("typed_sessions")} == {
        "typed_sessions",
        "typed_sessions.mypy_plugin",
    }


def test_without_litestar_the_extra_is_named() -> None:
    code = "import sys; sys.modules['litestar'] = None; import typed_sessions.litestar"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 -- this interpreter
    assert "pip install 'typed_sessions[litestar]'" in run.stderr
