"""Stubs: their text, what mypy and basedpyright make of it, the command, and the repository's own.

In a program, `# wrong` marks the lines that each checker must report, and no others.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shlex
import subprocess
import sys
import venv
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path, PurePosixPath
from textwrap import dedent

import litestar.connection.base
import pytest
import starlette.requests

from tests.checkers import run_checker
from typed_sessions import ConfigurationError, Schema, SchemaError
from typed_sessions.tools.stubs import SchemaStub, add_command, stale_files, stub_files

ROOT = Path(__file__).parents[2]

ORDERS = """
from enum import Enum
from typing import NewType

from attrs import define


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@define
class Item:
    price: int = 0


class Literal:
    pass


OrderId = NewType("OrderId", int)
"""

KINDS = """
from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Generic, Literal, NewType, Optional, TypedDict, TypeVar, Union

import msgspec
import orders
from attrs import Factory, define
from pydantic import BaseModel, Field
from typing_extensions import ReadOnly, TypeAliasType

from typed_sessions import Essential, Formerly, Schema, Secret

T = TypeVar("T")
UserId = NewType("UserId", int)
Names = list[str]
Score = TypeAliasType("Score", Union[int, None])
Entry = tuple[orders.Item, "Item", "Outer.Inner"]


@define
class Item:
    name: str = ""


class Outer:
    @define
    class Inner:
        n: int = 0


@define
class _Private:
    n: int = 0


@define
class Base(Generic[T]):
    held: T | None = None
    inherited: str = ""


@define
class Everything(Base[Decimal]):
    user_id: UserId | None = None
    names: Names = Factory(list[str])
    score: Score = None
    item: Item = Factory(Item)
    ordered: orders.Item = Factory(orders.Item)
    entries: dict[str, Entry | list[Annotated[int, msgspec.Meta(ge=0)]]] = Factory(dict)
    inner: Outer.Inner | None = None
    private: list["_Private"] = Factory(list)
    color: Literal[orders.Color.RED, "it\\"s", 1, b"y", None] = None
    old: Optional[Union[int, "str"]] = None
    mfa: Annotated[bool, Essential, Secret] = False
    date: date | None = None
    pair: tuple[int, ...] = ()
    empty: tuple[()] = ()
    anything: object = None
    order: orders.OrderId = orders.OrderId(0)
    _hidden: int = 0
    get: int = 0
    other: int = 0
    renamed: Annotated[int, Formerly("was")] = 0


@dataclass
class Data:
    n: int = 0


class Packed(msgspec.Struct):
    n: int = 0


class Model(BaseModel):
    n: int = Field(default=0, alias="number")
    boxes: "list[ModelBox[int]]" = []


class ModelBox(BaseModel, Generic[T]):
    value: T | None = None


Cart = TypedDict(
    "Cart",
    {"items": "list[str]", "fixed": ReadOnly[int], "not-id": int, "class": int, "self": int, "__private": int},
    total=False,
)


@define
class Box(Generic[T]):
    value: T | None = None


IntBox = Box[int]
IntModelBox = ModelBox[int]


def make() -> Data:
    return Data(1)


def make_class() -> type[object]:
    @dataclass
    class Local:
        n: int = 0

    return Local


Local = make_class()


def make_local() -> object:
    return Local()


class Foreign:
    schema = Schema(Data)
"""

ODD_NAMES = """
from attrs import Factory, define


@define
class update:
    n: int = 0


@define
class list:
    u: update = Factory(update)
"""

LOCAL_TYPE = """
from enum import Enum

from attrs import define


def make_color() -> type[Enum]:
    class Color(Enum):
        RED = "red"

    return Color


Color = make_color()


@define
class Odd:
    color: Color = Color.RED
"""

EVERYTHING = """\
# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false
# pyrefly: ignore-errors
# ty: ignore[incompatible-method-override, invalid-generic-class]
# Written by `typed-sessions stubs kinds:Everything`: do not edit it, run that again.
# Stub of kinds.Everything

from collections.abc import ItemsView, Iterable, Iterator, KeysView, MutableMapping
from datetime import date
from decimal import Decimal
from typing import Literal, Self, TypeAlias, TypedDict, TypeVar, Union, overload

from kinds import Everything, Item, Outer, Score, UserId, _Private
from orders import Color, OrderId
from orders import Item as orders_Item
from typed_sessions import Session

_D = TypeVar("_D")
_T1: TypeAlias = Union[tuple[orders_Item, Item, Outer.Inner], list[int]]
_T2: TypeAlias = dict[str, _T1]
_T3: TypeAlias = Literal[Color.RED, 'it"s', 1, b"y", None]

EverythingUpdate = TypedDict(
    "EverythingUpdate",
    {
        "held": Decimal | None,
        "inherited": str,
        "user_id": UserId | None,
        "names": list[str],
        "score": Score,
        "item": Item,
        "ordered": orders_Item,
        "entries": _T2,
        "inner": Outer.Inner | None,
        "private": list[_Private],
        "color": _T3,
        "old": int | str | None,
        "mfa": bool,
        "date": date | None,
        "pair": tuple[int, ...],
        "empty": tuple[()],
        "anything": object,
        "order": OrderId,
        "_hidden": int,
        "get": int,
        "other": int,
        "renamed": int,
        "_flashes": object,
        "_permanent": object,
    },
    total=False,
)
"""

VISITORS = """
from __future__ import annotations

from typing import Literal, TypedDict

from attrs import Factory, define
from typing_extensions import ReadOnly


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])
    theme: Literal["light", "dark"] = "light"
    visits: int = 0


class Cart(TypedDict, total=False):
    items: list[str]
    fixed: ReadOnly[int]
"""

RIGHT = """
from typing import TYPE_CHECKING, Literal, assert_type

from typed_sessions import Session
from visitors import Cart, Visitor

if TYPE_CHECKING:
    from cart_session import CartSession  # pyright: ignore[reportMissingModuleSource]
    from visitor_session import VisitorSession, VisitorUpdate  # pyright: ignore[reportMissingModuleSource]


def use(session: "VisitorSession", key: Literal["user_id", "cart"], name: str) -> None:
    assert_type(session.data, Visitor)
    assert_type(session["user_id"], int | None)
    assert_type(session["cart"], list[str])
    assert_type(session[key], int | list[str] | None)
    assert_type(session.get("user_id"), int | None)
    assert_type(session.get("visits"), int | None)
    assert_type(session.get("visits", 0), int)
    assert_type(session.get("visits", None), int | None)
    text: int | str = session.get("visits", "none")
    assert_type(session.get("cart", []), list[str])
    assert_type(session.pop("cart"), list[str])
    assert_type(session.pop("cart", []), list[str])
    assert_type(session.pop("visits", None), int | None)
    assert_type(session.setdefault("cart", []), list[str])
    assert_type(session.setdefault("user_id"), int | None)
    assert_type(session.get("visits", default=0), int)
    assert_type(session.pop("visits", default=None), int | None)
    assert_type(session.setdefault("cart", default=[]), list[str])
    session["cart"] = []
    session["theme"] = "dark"
    session["visits"] = True
    session["_flashes"] = []
    session["cart"].append("tea")
    del session["user_id"]
    session.update({"cart": [], "user_id": 7}, theme="dark")
    session.update(user_id=None)
    update: VisitorUpdate = {"cart": ["tea"]}
    session |= update
    session.pop("_flashes", None)
    session.promote(user_id=7, cart=[])
    session.invalidate()
    session.regenerate()
    session.permanent = session.modified = True
    dynamic(session, name, text)
    session.extras[name] = 1
    print("user_id" in session, "_flashes" not in session, key in session)
    print([*session], session.items(), len(session), session | {"a": 1})


def each(session: "VisitorSession", yes: bool) -> dict[str, object]:
    for key in session:
        print(session[key], session.get(key, default=0), session.pop(key, None), key in session, key.upper())
        session[key] = session.setdefault(key)
        del session[key]
    for key in list(session.keys()):
        print({other: session[other] for other in session if session[other]}, session[key])
    for name, value in session.items():
        print(session[name], value)
    for chosen in ("cart", "user_id"):
        assert_type(session[chosen], int | list[str] | None)
        session.pop(chosen)
    print(session["cart" if yes else "user_id"], dict(session.items()))
    copy: dict[str, object] = session.copy()
    names: list[str] = list(session)
    print(copy, names, sorted(session), set(session), {key: 1 for key in session}, list(reversed(session)))
    return copy


def dynamic(session: Session[Visitor], name: str, value: object) -> None:
    session[name] = session.get(name, value)
    print(name in session)


def use_cart(session: "CartSession") -> None:
    assert_type(session["fixed"], int)
    assert_type(session.get("fixed"), int | None)
    session["items"] = ["tea"]
    assert_type(session.data, Cart)
"""

WRONG = """
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cart_session import CartSession  # pyright: ignore[reportMissingModuleSource]
    from visitor_session import VisitorSession  # pyright: ignore[reportMissingModuleSource]


def misuse(session: "VisitorSession", name: str, cart: "CartSession") -> None:
    print(session["usr_id"])  # wrong
    session["usr_id"] = 7  # wrong
    del session["usr_id"]  # wrong
    session.get("usr_id")  # wrong
    session.get("usr_id", 1)  # wrong
    session.pop("usr_id")  # wrong
    session.pop("usr_id", None)  # wrong
    session.setdefault("usr_id", 7)  # wrong
    session.update({"usr_id": 1})  # wrong
    session.update(usr_id=1)  # wrong
    session |= {"usr_id": 1}  # wrong
    session["user_id"] = "7"  # wrong
    session["theme"] = "blue"  # wrong
    session["cart"] = None  # wrong
    session["cart"].append(7)  # wrong
    session["user_id"].bit_length()  # wrong
    session.get("cart").append("tea")  # wrong
    session.get("visits", "none").bit_length()  # wrong
    session.setdefault("cart", 7)  # wrong
    session.setdefault("cart")  # wrong
    session.update({"user_id": "1"})  # wrong
    session.update(user_id="1")  # wrong
    session |= {"user_id": "1"}  # wrong
    session.data.usr_id = 7  # wrong
    print(session[name])  # wrong
    print("usr_id" in session)  # wrong
    print("usr_id" not in session)  # wrong
    session.promote(user_id="7")  # wrong
    session.promote(usr_id=7)  # wrong
    for key in ("usr_id", "cart"):
        print(session[key])  # wrong
    print(session["_unknown"])  # wrong
    cart["fixed"] = 7  # wrong
    cart.pop("fixed")  # wrong
    del cart["fixed"]  # wrong
    cart.setdefault("fixed", 1)  # wrong
    cart.update({"fixed": 7})  # wrong
    cart.update(fixed=7)  # wrong
"""

FRAMEWORKS = """
from typing import TYPE_CHECKING, assert_type

import flask
import quart
from flask import session as flask_session
from quart import current_app, g, request, session
from quart.sessions import SessionMixin
from starlette.requests import Request

from visitors import Visitor

if TYPE_CHECKING:
    from visitor_session import VisitorSession  # pyright: ignore[reportMissingModuleSource]


def on_starlette(request: Request) -> dict[str, object]:
    assert_type(request.session["cart"], list[str])
    for key in request.session:
        print(request.session[key], key.upper())
    request.session["usr_id"] = 7  # wrong
    request.session.get("usr_id")  # wrong
    request.session["theme"] = "blue"  # wrong
    request.session.promote(user_id=7)  # wrong
    return request.session.copy()


def helper(session: SessionMixin) -> None: ...


def typed(session: "VisitorSession") -> None: ...


helper(session)
typed(session)
typed(flask_session)
assert_type(session.data, Visitor)
assert_type(quart.session["cart"], list[str])
assert_type(flask.session.get("visits"), int | None)
session.permanent = True
session["theme"] = "dark"
for key in session:
    print(session[key], dict(session)[key], {**session}[key], {each: session[each] for each in session})
print(session.new, session.accessed, request.method, current_app.config, g.get("x"), quart.g, flask.request.path)
session["usr_id"] = 7  # wrong
flask_session.get("usr_id")  # wrong
session["theme"] = "blue"  # wrong
session.data.usr_id = 7  # wrong
session.update({"cart": 7})  # wrong
"""

VIEWS = """
from typing import TYPE_CHECKING, assert_type

from quart import session

if TYPE_CHECKING:
    from visitor_session import VisitorSession


def view(typed: "VisitorSession") -> None:
    assert_type(typed["user_id"], int | None)
    assert_type(session["user_id"], int | None)
    session["usr_id"] = 7
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project, with the modules `orders`, `kinds` and `visitors` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, source in {"orders": ORDERS, "kinds": KINDS, "visitors": VISITORS}.items():
        add_module(tmp_path, name, source)
    return tmp_path


def add_module(project: Path, name: str, source: str) -> None:
    (project / f"{name}.py").write_text(source, encoding="utf-8")
    sys.modules.pop(name, None)


def load(path: str) -> object:
    module, _, attribute = path.partition(":")
    return attrgetter(attribute)(import_module(module))


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(required=True), load)
    parsed = parser.parse_args(["stubs", *arguments])
    status: int = parsed.run(parsed)
    return status


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from ._money import Money", "bank._money"),
        ("from ._money import Money as Money", "bank"),
        ("from ._money import Money\n\n__all__ = ['Money']", "bank"),
    ],
    ids=["imported", "exported by its name", "exported in __all__"],
)
def test_a_name_is_imported_from_where_checkers_allow_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: str
) -> None:
    (project / "bank").mkdir()
    (project / "bank" / "__init__.py").write_text(f"{line}\n", encoding="utf-8")
    money = "from attrs import define\n\n@define\nclass Money:\n    cents: int = 0\n"
    (project / "bank" / "_money.py").write_text(money, encoding="utf-8")
    held = "from attrs import define\nfrom bank._money import Money\n\n"
    held += "@define\nclass Purse:\n    held: Money | None = None\n"
    (project / "purse.py").write_text(held, encoding="utf-8")
    for name in ("bank", "bank._money", "purse"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert f"from {expected} import Money" in stub_text("purse:Purse")


def stub_text(path: str, *allowed: str) -> str:
    stub = SchemaStub.of(load(path), path, allowed)
    return next(iter(stub_files(stub).values()))


def signatures(text: str, method: str) -> list[str]:
    """Return the signatures of a method, each in one line."""
    found = re.findall(rf"    def {re.escape(method)}\((.*?)\) -> (.*?): \.\.\.\n", text, re.DOTALL)
    return [f"{' '.join(parameters.split()).removesuffix(',')} -> {returns}" for parameters, returns in found]


# the text


def test_names_from_anywhere_are_imported_and_those_that_clash_get_others() -> None:
    text = stub_text("kinds:Everything")
    assert text.partition("\nclass ")[0] == EVERYTHING
    assert "class EverythingSession(EverythingKeys, Session[Everything]):" in text


def test_a_key_has_its_type_in_every_method() -> None:
    text = stub_text("visitors:Visitor")
    user, cart = 'self, key: Literal["user_id"], /', 'self, key: Literal["cart"], /'
    assert signatures(text, "__getitem__")[:2] == [f"{user} -> int | None", f"{cart} -> list[str]"]
    assert signatures(text, "__setitem__")[1] == 'self, key: Literal["cart"], value: list[str], / -> None'
    assert signatures(text, "get")[:6] == [
        f"{user} -> int | None",
        f"{user}, default: int | None -> int | None",
        f"{user}, default: _D -> int | _D | None",
        f"{cart} -> list[str] | None",
        f"{cart}, default: list[str] -> list[str]",
        f"{cart}, default: _D -> list[str] | _D",
    ]
    assert signatures(text, "pop")[3:5] == [f"{cart} -> list[str]", f"{cart}, default: list[str] -> list[str]"]
    assert signatures(text, "setdefault")[:2] == [
        f"{user}, default: int | None = None -> int | None",
        f"{cart}, default: list[str] -> list[str]",
    ]
    assert signatures(text, "data") == ["self -> Visitor"]


def test_a_read_only_key_is_not_written() -> None:
    text = stub_text("kinds:Cart")
    for method in ("__setitem__", "__delitem__", "pop", "setdefault", "update"):
        assert not any("fixed" in signature for signature in signatures(text, method))
    assert '"fixed"' not in text.partition("class ")[0]
    for method in ("__getitem__", "get"):
        assert any('"fixed"' in signature for signature in signatures(text, method))


def test_update_names_what_a_call_can_name_and_its_dict_has_all() -> None:
    text = stub_text("kinds:Cart")
    (signature,) = signatures(text, "update")
    assert re.findall(r"(\w+): ", signature) == ["other", "items", "_flashes", "_permanent"]
    for name in ("not-id", "class", "self", "__private"):
        assert f'        "{name}": int,\n' in text
    assert "self, other_: EverythingUpdate = ..., /, *," in signatures(stub_text("kinds:Everything"), "update")[0]


def test_the_dict_of_update_has_a_name_of_its_own(project: Path) -> None:
    fields = "".join(f"    {name}: int = 0\n" for name in ("other", "other_", "other__"))
    add_module(project, "odd", f"from attrs import define\n@define\nclass Odd:\n{fields}")
    assert signatures(stub_text("odd:Odd"), "update")[0].startswith("self, other___: OddUpdate = ..., /, *, other: int")


def test_a_type_with_the_name_of_a_method_gets_another(project: Path) -> None:
    add_module(project, "odd", ODD_NAMES)
    text = stub_text("odd:list")
    assert "from odd import list as odd_list\nfrom odd import update as odd_update\n" in text
    assert "class listSession(listKeys, Session[odd_list]):" in text


@pytest.mark.parametrize(
    ("path", "name", "data"),
    [
        pytest.param("kinds:Data", "DataSession", "Data", id="dataclass"),
        pytest.param("kinds:Packed", "PackedSession", "Packed", id="struct"),
        pytest.param("kinds:Model", "ModelSession", "Model", id="model"),
        pytest.param("kinds:IntModelBox", "IntModelBoxSession", "ModelBox[int]", id="alias-of-a-generic-model"),
        pytest.param("kinds:Cart", "CartSession", "Cart", id="typed-dict"),
        pytest.param("kinds:make", "DataSession", "Data", id="function"),
        pytest.param("kinds:IntBox", "IntBoxSession", "Box[int]", id="alias-of-a-generic"),
        pytest.param("kinds:Outer.Inner", "InnerSession", "Outer.Inner", id="nested"),
        pytest.param(
            "kinds:Foreign",
            "DataSession",
            "Data",
            id="what-has-a-schema",
        ),
    ],
)
def test_every_kind_of_schema_has_a_stub(path: str, name: str, data: str) -> None:
    text = stub_text(path)
    assert f"class {name}({name.removesuffix('Session')}Keys, Session[{data}]):" in text
    assert signatures(text, "data") == [f"self -> {data}"]


def test_undeclared_keys_may_be_allowed() -> None:
    assert '"csrf_token"' not in stub_text("visitors:Visitor")
    text = stub_text("visitors:Visitor", "csrf_token", "user_id")
    assert signatures(text, "__getitem__")[-2] == (
        'self, key: Literal["_flashes", "_permanent", "csrf_token"], / -> object'
    )
    assert signatures(text, "__getitem__")[0] == 'self, key: Literal["user_id"], / -> int | None'


def test_a_private_module_is_not_named_where_a_public_one_has_the_class(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project / "bank"
    package.mkdir()
    (package / "__init__.py").write_text("from ._money import Money as Money\n")
    (package / "_money.py").write_text("from attrs import define\n@define\nclass Money:\n    n: int = 0\n")
    monkeypatch.delitem(sys.modules, "bank", raising=False)
    assert "\nfrom bank import Money\n" in stub_text("bank:Money")


@pytest.mark.parametrize("width", [88, 120])
def test_stubs_are_formatted_at_any_usual_width(width: int, project: Path) -> None:
    for path in ("kinds:Everything", "kinds:Cart", "visitors:Visitor"):
        assert run(path) == 0
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--check", f"--line-length={width}", "stubs"]
    formatted = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)  # noqa: S603 -- ours
    assert formatted.returncode == 0, formatted.stdout


def test_equal_schemas_give_equal_stubs_in_every_process(project: Path) -> None:
    program = (
        "import kinds, sys; from typed_sessions.tools.stubs import SchemaStub, stub_files; "
        "print(*stub_files(SchemaStub.of(kinds.Everything, 'kinds:Everything')).values()); "
        "assert not {'quart', 'flask'} & set(sys.modules)"
    )
    texts = {
        subprocess.run(  # noqa: S603 -- ours
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=project,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


# what it refuses


def test_what_no_module_can_import_is_refused_by_name() -> None:
    with pytest.raises(SchemaError, match=r"kinds\.make_class\.<locals>\.Local cannot be imported, so no stub"):
        SchemaStub.of(load("kinds:make_local"), "kinds:make_local")


def test_the_field_of_such_a_type_is_named(project: Path) -> None:
    add_module(project, "odd", LOCAL_TYPE)
    with pytest.raises(SchemaError, match=r"^Odd\.color: odd\.make_color\.<locals>\.Color cannot be imported"):
        SchemaStub.of(load("odd:Odd"), "odd:Odd")


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(SchemaError, match="cannot be the schema of a session"):
        SchemaStub.of(load("orders:Literal"), "orders:Literal")
    with pytest.raises(ConfigurationError, match="name the class itself"):
        SchemaStub.of(Schema(), "kinds:schema")


def test_a_module_that_the_stub_would_hide_is_refused(project: Path) -> None:
    (project / "visitor_session.py").write_text("")
    with pytest.raises(ConfigurationError, match="there is a module visitor_session"):
        run("visitors:Visitor")


def test_a_folder_that_cannot_be_written_is_refused(project: Path) -> None:
    (project / "taken").write_text("")
    with pytest.raises(ConfigurationError, match="taken cannot be written"):
        run("visitors:Visitor", "--out", "taken")


# the command


def test_check_fails_while_stubs_are_stale(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("visitors:Visitor", "--check") == 1
    assert not (project / "stubs").exists()
    run("visitors:Visitor")
    capsys.readouterr()
    assert run("visitors:Visitor", "--check") == 0
    assert capsys.readouterr().out == "stubs is up to date\n"
    (project / "stubs" / "visitor_session.pyi").write_text("# edited\n")
    assert run("visitors:Visitor", "--check") == 1
    assert capsys.readouterr().out == "stale  stubs/visitor_session.pyi\nWithout --check they are written.\n"
    run("visitors:Visitor")
    assert capsys.readouterr().out.startswith(
        "wrote  stubs/visitor_session.pyi\nkept   stubs/quart-stubs/globals.pyi\nkept   stubs/quart-stubs/py.typed\n"
    )


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--allow", "b c", "--allow", "a"],
        ["--frameworks"],
        ["--frameworks", "quart", "--allow", "a"],
        ["--frameworks", "starlette", "litestar", "flask", "quart"],
    ],
    ids=["plain", "keys", "no-framework", "both", "all-frameworks"],
)
def test_the_header_names_the_command_that_writes_the_same_again(options: list[str], project: Path) -> None:
    run("visitors:Visitor", *options)
    header = (project / "stubs" / "visitor_session.pyi").read_text().partition("`: do not edit")[0]
    again = shlex.split(header.rpartition("`typed-sessions stubs ")[2])
    assert again[0] == "visitors:Visitor"
    assert run(*again, "--check") == 0


@pytest.mark.parametrize(
    ("arguments", "folders"),
    [
        ([], {"quart-stubs", "flask-stubs", "starlette-stubs", "litestar-stubs"}),
        (["--frameworks", "starlette"], {"starlette-stubs"}),
        (["--frameworks"], set()),
    ],
    ids=["all", "starlette", "none"],
)
def test_the_frameworks_may_be_chosen(arguments: list[str], folders: set[str], project: Path) -> None:
    run("visitors:Visitor", "--out", "typings", *arguments)
    assert {path.name for path in (project / "typings").iterdir()} == {"visitor_session.pyi", *folders}
    assert all((project / "typings" / folder / "py.typed").read_text() == "partial\n" for folder in folders)


def members_of(source: str) -> dict[str, set[str]]:
    """Return what the classes of a module define, and what else it does, by the name of the class."""
    found: dict[str, set[str]] = {"": set()}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {
                each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[""].add(node.name)
    return found


def test_the_stub_of_starlettes_requests_has_all_that_they_have() -> None:
    stub = SchemaStub.of(load("visitors:Visitor"), "visitors:Visitor")
    stubbed = members_of(stub_files(stub)[PurePosixPath("starlette-stubs/requests.pyi")])
    real = members_of(Path(starlette.requests.__file__).read_text(encoding="utf-8"))
    ours = stubbed.pop("_VisitorSession")
    assert {"__getitem__", "get", "pop", "update", "mark_accessed"} <= ours
    assert not {"data", "extras", "promote"} & ours
    assert {name: members - {"_get_form"} for name, members in real.items()} == {
        name: members - {"__eq__", "__hash__"} for name, members in stubbed.items()
    }


def test_the_stub_of_litestars_connection_has_all_that_it_has() -> None:
    stub = SchemaStub.of(load("visitors:Visitor"), "visitors:Visitor")
    stubbed = members_of(stub_files(stub)[PurePosixPath("litestar-stubs/connection/base.pyi")])
    ours = stubbed.pop("_VisitorSession")
    assert not {"data", "extras", "promote"} & ours
    assert members_of(Path(litestar.connection.base.__file__).read_text(encoding="utf-8")) == stubbed


REQUESTS = """
from attrs import define


@define
class Request:
    n: int = 0


@define
class Mapping:
    request: Request | None = None
"""


@pytest.mark.checker
def test_types_of_the_schema_may_have_the_names_of_starlettes(project: Path) -> None:
    add_module(project, "requesting", REQUESTS)
    run("requesting:Mapping")
    (project / "program.py").write_text(
        "from typing import assert_type\n\nimport requesting\nfrom starlette.requests import Request\n\n\n"
        "def view(request: Request) -> None:\n"
        "    assert_type(request.session['request'], requesting.Request | None)\n    request.session['reqest']\n"
    )
    for checker in ("ty", "pyrefly"):
        assert checked_by(checker, [project / "program.py"], project) == {("program.py", 9)}


def test_a_second_schema_in_the_folder_leaves_the_stubs_of_the_first(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("visitors:Visitor")
    before = {path: path.read_text() for path in (project / "stubs").rglob("*.pyi")}
    capsys.readouterr()
    assert run("visitors:Cart") == 0
    assert {path: path.read_text() for path in before} == before
    assert (project / "stubs" / "cart_session.pyi").exists()
    said = capsys.readouterr().out
    assert said.startswith(
        "wrote  stubs/cart_session.pyi\nleft   stubs/quart-stubs/globals.pyi, which is for visitors.Visitor\n"
    )
    assert "visitors.Cart" not in said  # as a setting it would take the first schema's place
    assert run("visitors:Cart", "--check") == run("visitors:Visitor", "--check") == 0


def test_a_second_schema_of_the_same_name_is_refused(project: Path) -> None:
    add_module(project, "others", VISITORS)
    run("visitors:Visitor")
    before = {path: path.read_text() for path in (project / "stubs").rglob("*.pyi")}
    with pytest.raises(ConfigurationError, match=r"visitor_session.pyi is the stub of visitors.Visitor, .* --out"):
        run("others:Visitor")
    assert {path: path.read_text() for path in before} == before
    assert run("others:Visitor", "--out", "others_stubs") == 0


MYPY_INI = [
    "    [mypy]",
    "    plugins = typed_sessions.mypy_plugin",
    "    mypy_path = stubs",
    "    exclude = (quart|flask|starlette|litestar)-stubs/",
    "",
    "    [typed_sessions]",
    "    schema = visitors.Visitor",
]
MYPY_TOML = [
    "    [tool.mypy]",
    '    plugins = ["typed_sessions.mypy_plugin"]',
    '    mypy_path = "stubs"',
    '    exclude = ["(quart|flask|starlette|litestar)-stubs/"]',
    "",
    "    [tool.typed_sessions]",
    '    schema = "visitors.Visitor"',
]
PYRIGHT = ["    [tool.pyright]", '    stubPath = "stubs"']
BASEDPYRIGHT = ["    [tool.basedpyright]", '    stubPath = "stubs"']
TY = ["    [tool.ty.environment]", '    extra-paths = ["stubs"]']
PYREFLY = ["    [tool.pyrefly]", '    site-package-path = ["stubs"]']
ALL = [*MYPY_TOML, *PYRIGHT, *BASEDPYRIGHT, *TY, *PYREFLY]


@pytest.mark.parametrize(
    ("file", "text", "hook"),
    [
        ("mypy.ini", "[mypy]\nstrict = True", ["put into mypy.ini", *MYPY_INI]),
        ("setup.cfg", "[mypy]", ["put into setup.cfg", *MYPY_INI]),
        ("pyproject.toml", "[tool.mypy]", ["put into pyproject.toml", *MYPY_TOML]),
        ("pyproject.toml", "[tool.pyright]", ["put into pyproject.toml", *PYRIGHT]),
        ("pyproject.toml", "[tool.basedpyright]", ["put into pyproject.toml", *BASEDPYRIGHT]),
        ("pyproject.toml", "[tool.ty.rules]", ["put into pyproject.toml", *TY]),
        ("pyproject.toml", "[tool.pyrefly]", ["put into pyproject.toml", *PYREFLY]),
        ("pyrightconfig.json", "{ // comments are allowed", ["put into pyrightconfig.json", '    "stubPath": "stubs"']),
        ("ty.toml", "", ["put into ty.toml", "    [environment]", '    extra-paths = ["stubs"]']),
        ("pyrefly.toml", "", ["put into pyrefly.toml", '    site-package-path = ["stubs"]']),
        ("setup.cfg", "[metadata]", ["no type checker is configured here; in pyproject.toml, each takes", *ALL]),
        ("mypy.ini", "no ini", ["no type checker is configured here; in pyproject.toml, each takes", *ALL]),
    ],
)
def test_the_command_says_how_to_hook_the_stubs_in(
    file: str, text: str, hook: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / file).write_text(text)
    run("visitors:Visitor", "--frameworks")
    assert capsys.readouterr().out.splitlines() == ["wrote  stubs/visitor_session.pyi", *hook]


@pytest.mark.parametrize("settings", ["exclude = docs/", ""], ids=["others-are-excluded", "nothing-is-excluded"])
def test_the_plugin_alone_is_not_all_that_mypy_needs(
    settings: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "mypy.ini").write_text(f"[mypy]\nplugins = typed_sessions.mypy_plugin\n{settings}")
    run("visitors:Visitor", "--frameworks")
    assert capsys.readouterr().out.splitlines()[1:] == ["put into mypy.ini", *MYPY_INI]


@pytest.mark.parametrize(
    ("file", "text", "setting"),
    [
        ("mypy.ini", "[mypy]", "    allowed_keys = csrf_token, identity.id"),
        ("pyproject.toml", "[tool.mypy]", '    allowed_keys = ["csrf_token", "identity.id"]'),
    ],
)
def test_the_plugin_is_told_of_the_same_undeclared_keys(
    file: str, text: str, setting: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / file).write_text(text)
    run("visitors:Visitor", "--allow", "identity.id", "--allow", "csrf_token", "--allow", "user_id")
    assert capsys.readouterr().out.splitlines()[-1] == setting


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("mypy.ini", "[mypy]\nplugins = other, typed_sessions.mypy_plugin\nexclude = a/\n    ^stubs/"),
        ("pyproject.toml", '[tool.mypy]\nplugins = ["typed_sessions.mypy_plugin"]\nexclude = ["(", "-stubs/"]'),
        ("pyproject.toml", '[tool.basedpyright]\nstubPath = "./stubs"'),
        ("pyproject.toml", '[tool.ty.environment]\nextra-paths = ["a", "stubs"]'),
        ("pyrightconfig.json", '{"stubPath": "stubs"}'),
        ("pyrefly.toml", 'site-package-path = ["stubs"]'),
    ],
)
def test_what_is_hooked_in_already_is_not_repeated(
    file: str, text: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / file).write_text(text)
    run("visitors:Visitor", "--frameworks")
    assert capsys.readouterr().out == "wrote  stubs/visitor_session.pyi\n"


# the checkers


def marked_lines(*programs: Path) -> set[tuple[str, int]]:
    return {
        (program.name, number)
        for program in programs
        for number, line in enumerate(program.read_text().splitlines(), start=1)
        if line.endswith("# wrong")
    }


@pytest.fixture
def programs(project: Path) -> dict[str, Path]:
    """Return the programs by name, in a project whose stubs are written."""
    run("kinds:Everything", "--frameworks")
    run("visitors:Visitor")
    run("visitors:Cart", "--frameworks")
    texts = {"right": RIGHT, "wrong": WRONG, "frameworks": FRAMEWORKS}
    for name, text in texts.items():
        (project / f"{name}.py").write_text(text)
    return {name: project / f"{name}.py" for name in texts}


@pytest.mark.checker
@pytest.mark.parametrize(
    ("file", "table"), [("mypy.ini", "[mypy]"), ("pyproject.toml", "[tool.mypy]")], ids=["ini", "toml"]
)
def test_mypy_takes_the_whole_project_once_its_settings_are_those_that_the_command_said(
    file: str, table: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "kinds.py").unlink()
    (project / "views.py").write_text(VIEWS)
    (project / file).write_text(table)
    run("visitors:Visitor")
    said = capsys.readouterr().out.partition(f"put into {file}\n")[2]
    (project / file).write_text(dedent(said))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "."]
    report = run_checker(command, cwd=project)
    assert re.findall(r"^(\S+):\d+: error: .*\[(.*)\]$", report.stdout, re.MULTILINE) == [("views.py", "session-key")]


@pytest.mark.checker
def test_mypy_finds_what_is_wrong_and_nothing_else(
    programs: dict[str, Path], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPYPATH", "stubs")
    # The frameworks' own sessions are the business of the plugin: mypy leaves stub packages alone in its path.
    checked = [programs["right"], programs["wrong"], *(project / "stubs").glob("*.pyi")]
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--no-incremental", *map(str, checked)]
    report = run_checker(command)
    assert report.stderr == ""
    found = re.findall(r"^(?:.*/)?(\w+\.pyi?):(\d+): error: ", report.stdout, re.MULTILINE)
    assert {(file, int(line)) for file, line in found} == marked_lines(programs["wrong"])


@pytest.mark.checker
def test_basedpyright_finds_what_is_wrong_and_nothing_else(programs: dict[str, Path], project: Path) -> None:
    settings = {"stubPath": "stubs", "typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    checked = [*map(str, programs.values()), *map(str, (project / "stubs").rglob("*.pyi"))]
    report = run_checker([*command, *checked], cwd=project)
    found = {
        (Path(diagnostic["file"]).name, diagnostic["range"]["start"]["line"] + 1)
        for diagnostic in json.loads(report.stdout)["generalDiagnostics"]
    }
    assert found == marked_lines(programs["wrong"], programs["frameworks"])


@pytest.mark.checker
def test_stubs_of_frameworks_that_are_not_installed_are_no_errors(project: Path) -> None:
    run("visitors:Visitor")
    bare = project / "bare"
    venv.create(bare, with_pip=False)
    folder = project / "installed"
    folder.mkdir()
    for name in ("typed_sessions", "attr", "attrs", "cattrs", "msgspec", "typing_extensions"):
        spec = find_spec(name)
        assert spec is not None
        origin = Path(str(spec.origin))
        held = origin if spec.submodule_search_locations is None else origin.parent
        (folder / held.name).symlink_to(held)
    settings = {
        "stubPath": "stubs",
        "extraPaths": ["installed"],
        "include": ["stubs"],
        "typeCheckingMode": "recommended",
    }
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", str(bare / "bin" / "python")]
    report = json.loads(run_checker(command, cwd=project).stdout)
    assert report["summary"]["filesAnalyzed"] > 4
    assert report["generalDiagnostics"] == []


def checked_by(checker: str, files: list[Path], project: Path) -> set[tuple[str, int]]:
    """Return the files and lines that ty, or pyrefly, reports with the stubs in its settings."""
    of_ty = f'[environment]\npython = "{sys.prefix}"\npython-version = "3.11"\nextra-paths = ["stubs"]\n'
    of_pyrefly = (
        f'python-interpreter-path = "{sys.executable}"\npython-version = "3.11"\nsite-package-path = ["stubs"]\n'
    )
    (project / "ty.toml").write_text(of_ty)
    (project / "pyrefly.toml").write_text(of_pyrefly)
    options = {
        "ty": ["check", "--output-format", "concise"],
        "pyrefly": ["check", "--output-format", "json", "--preset", "default"],
    }[checker]
    named = map(str, files) if checker == "ty" else ()  # pyrefly takes its settings where it is given no files
    command = [str(Path(sys.executable).with_name(checker)), *options, *named]
    report = run_checker(command, cwd=project)
    if checker == "ty":
        found = re.findall(r"^([^:\n]+\.pyi?):(\d+):\d+: error", report.stdout, re.MULTILINE)
    else:
        found = [(error["path"], error["line"]) for error in json.loads(report.stdout)["errors"]]
    return {(Path(path).name, int(line)) for path, line in found if Path(path).name in {file.name for file in files}}


@pytest.mark.checker
@pytest.mark.parametrize("checker", ["ty", "pyrefly"])
def test_ty_and_pyrefly_find_what_is_wrong_and_nothing_else(
    checker: str, programs: dict[str, Path], project: Path
) -> None:
    files = [*programs.values(), *(project / "stubs").rglob("*.pyi")]
    assert len(files) > len(programs) + 2
    assert checked_by(checker, files, project) == marked_lines(programs["wrong"], programs["frameworks"])


@pytest.mark.checker
def test_an_undeclared_key_is_not_taken_for_the_one_that_comes_last(project: Path) -> None:
    run("visitors:Visitor")
    (project / "program.py").write_text("from quart import session\n\nsession['usr_id'] = session.get('usr_id')\n")
    (project / "pyrightconfig.json").write_text('{"stubPath": "stubs", "typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "program.py"]
    report = run_checker(command, cwd=project)
    assert report.stdout.count('cannot be assigned to parameter \\"key\\" of type \\"VisitorKey\\"') == 2
    assert "_flashes" not in report.stdout


PER_PACKAGE = """
from attrs import define
from quart import session


@define
class {schema}:
    {field}: str = ""


def view() -> None:
    print(session["cart"])
    print(session["level"])
"""


@pytest.mark.checker
@pytest.mark.parametrize("checker", ["basedpyright", "ty", "pyrefly"])
def test_each_package_is_checked_with_its_own_stubs_as_the_page_says(checker: str, project: Path) -> None:
    for package, schema, field in (("shop", "Visitor", "cart"), ("blog", "Reader", "level")):
        (project / package).mkdir()
        (project / package / "__init__.py").touch()
        (project / package / "schema.py").write_text(PER_PACKAGE.format(schema=schema, field=field))
        for name in (package, f"{package}.schema"):
            sys.modules.pop(name, None)
        run(f"{package}.schema:{schema}", "--out", f"stubs/{package}")
    page = (ROOT / "docs" / "how-to" / "types.md").read_text()
    found = re.search(rf"^\| (?:pyright, )?{checker} \| `(.*?)` \| (.*) \| `(.*?)` \|$", page, re.MULTILINE)
    assert found is not None
    lines = re.findall("`(.*?)`", found[2])
    program = Path(sys.executable).with_name(checker)
    for package, wrong in (("shop", 13), ("blog", 12)):
        file, settings, command = (
            text.replace("shop", package) for text in (found[1], "\n".join(lines), found[3].partition(" ")[2])
        )
        (project / file).write_text(settings)
        environment = os.environ | {"VIRTUAL_ENV": sys.prefix, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        report = run_checker([program, *command.split()], cwd=project, env=environment)
        assert {*map(int, re.findall(r"schema\.py:(\d+):\d+", report.stdout))} == {wrong}, report.stdout


@pytest.mark.checker
@pytest.mark.usefixtures("programs")
def test_pyrefly_would_find_no_more_in_stubs_than_that_they_narrow_what_keys_are(project: Path) -> None:
    stubs = [*(project / "stubs").rglob("*.pyi")]
    for stub in stubs:
        stub.write_text(stub.read_text().replace("# pyrefly: ignore-errors\n", ""))
    python = f"--python-interpreter-path={sys.executable}"
    options = ["check", "--output-format", "json", "--preset", "default", "--search-path=stubs", "--search-path=."]
    command = [str(Path(sys.executable).with_name("pyrefly")), *options, python, *map(str, stubs)]
    report = run_checker(command, cwd=project)
    assert {error["name"] for error in json.loads(report.stdout)["errors"]} == {"bad-override", "invalid-inheritance"}


# this repository


def test_the_stubs_of_the_example_are_fresh() -> None:
    stub = SchemaStub.of(load("examples.shop:Visitor"), "examples.shop:Visitor")
    assert stale_files(ROOT / "stubs", stub_files(stub)) == []
