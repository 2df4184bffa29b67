"""`request.session`: the dict that Starlette and what is built on it expect, over a typed session."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from typed_sessions import FieldTypeError, SecureCookieSession
from typed_sessions.frameworks.interface import SecureCookieSessionInterface
from typed_sessions.frameworks.request_session import RequestSession


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


def session_of(schema: Any = Visitor, **stored: object) -> SecureCookieSession[Any]:
    return SecureCookieSession(stored, schema=schema)


def shown(**stored: object) -> RequestSession:
    return RequestSession(session_of(**stored))


READS: dict[str, Callable[[Any], object]] = {
    "bool": bool,
    "len": len,
    "list": list,
    "reversed": lambda session: list(reversed(session)),
    "dict": dict,
    "unpacked": lambda session: {**session},
    "sorted": sorted,
    "keys": lambda session: list(session.keys()),
    "values": lambda session: list(session.values()),
    "items": lambda session: list(session.items()),
    "copy": lambda session: session.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda session: pickle.loads(pickle.dumps(session)),  # noqa: S301 -- just made
    "equal": lambda session: session == {"user_id": 7, "cart": ["tea"]},
    "unequal": lambda session: session != {"user_id": 7, "cart": ["tea"]},
    "or": lambda session: session | {"more": 1},
    "ror": lambda session: {"more": 1} | session,
    "in": lambda session: ("user_id" in session, "nobody" in session, 7 in session),
    "get": lambda session: (session.get("user_id"), session.get("nobody"), session.get("nobody", 3)),
    "getitem": lambda session: session["user_id"],
}


@pytest.mark.parametrize("is_empty", [False, True], ids=["full", "empty"])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_it_reads_as_a_dict_does(read: Callable[[Any], object], is_empty: bool) -> None:
    stored: dict[str, object] = {} if is_empty else {"user_id": 7, "cart": ["tea"]}
    session = session_of(**stored)
    try:
        expected: object = read(stored)
    except KeyError as error:
        with pytest.raises(KeyError, match=str(error)):
            read(RequestSession(session))
    else:
        assert read(RequestSession(session)) == expected
    assert session.accessed
    assert not session.modified


ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "json": lambda session: json.dumps(session).encode(),
    "json, indented": lambda session: json.dumps(session, indent=2).encode(),
    "msgspec": msgspec.json.encode,
    "pydantic": TypeAdapter(dict[str, Any]).dump_json,
}


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
def test_encoders_that_read_past_its_methods_see_what_is_stored(encode: Callable[[Any], bytes]) -> None:
    session = session_of(user_id=7)
    view = RequestSession(session)

    def encoded() -> object:
        view.mark_accessed()  # as each `request.session` does
        return json.loads(encode(view))

    assert encoded() == {"user_id": 7}
    session.data.cart.append("tea")
    assert encoded() == {"user_id": 7, "cart": ["tea"]}
    session.data.user_id = None
    assert encoded() == {"cart": ["tea"]}
    del view["cart"]
    assert json.loads(encode(view)) == {}


def test_what_it_gives_is_live() -> None:
    session = session_of(cart=["tea"])
    view = RequestSession(session)
    view["cart"].append("milk")
    for value in view.values():
        value.append("bread")
    assert session.data.cart == ["tea", "milk", "bread"]
    assert session.modified


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "setdefault", "update", "ior"]), st.sampled_from("abc"), st.integers(0, 3)),
        st.tuples(
            st.sampled_from(["del", "pop", "pop-default", "popitem", "clear"]), st.sampled_from("abc"), st.just(0)
        ),
    ),
    max_size=12,
)


def carry_out(target: Any, operation: str, key: str, value: int) -> object:
    match operation:
        case "set":
            target[key] = value
        case "setdefault":
            return target.setdefault(key, value)
        case "update":
            return target.update({key: value}, z=value)
        case "ior":
            target |= {key: value}
        case "del":
            del target[key]
        case "pop":
            return target.pop(key)
        case "pop-default":
            return target.pop(key, None)
        case "popitem":
            return target.popitem()
        case _:
            return target.clear()
    return None


@given(OPERATIONS, st.booleans())
def test_it_changes_as_a_dict_does(operations: list[tuple[str, str, int]], is_permanent: bool) -> None:
    session: SecureCookieSession[dict[str, object]] = SecureCookieSession()
    session.permanent = is_permanent
    view, model = RequestSession(session), dict[str, object]()
    for operation in operations:
        try:
            expected = carry_out(model, *operation)
        except KeyError:
            with pytest.raises(KeyError):
                carry_out(view, *operation)
        else:
            assert carry_out(view, *operation) == expected
        assert json.loads(json.dumps(view)) == model
        assert list(view.items()) == list(model.items())
        assert dict.copy(view) == model  # what is underneath
        assert {key: value for key, value in session.items() if key != "_permanent"} == model


def test_the_flag_of_quart_and_flask_is_not_shown() -> None:
    session = session_of(user_id=7)
    session.permanent = True
    view = RequestSession(session)
    assert view == {"user_id": 7}
    assert "_permanent" not in view
    assert view.get("_permanent", 3) == 3
    with pytest.raises(KeyError):
        view["_permanent"].bit_length()
    assert view.pop("_permanent", None) is None
    assert view.popitem() == ("user_id", 7)
    with pytest.raises(KeyError, match="session is empty"):
        view.popitem()
    assert dict(session) == {"_permanent": True}
    view.clear()
    assert dict(session) == {}
    view["_permanent"] = True
    assert dict(session) == {"_permanent": True}


def test_a_value_of_the_wrong_type_is_refused_at_its_line() -> None:
    view = shown(user_id=7)
    with pytest.raises(FieldTypeError, match="user_id"):
        view["user_id"] = "7"
    assert view == {"user_id": 7}


def test_a_repr_is_no_use() -> None:
    session = session_of(user_id=7)
    view = RequestSession(session)
    assert repr(view) == "{}"
    assert not session.accessed
    view.mark_accessed()
    assert repr(view) == "{'user_id': 7}"


def test_it_has_what_starlettes_own_has() -> None:
    session = session_of(user_id=7)
    view = RequestSession(session)
    flags = [(view.accessed, view.modified)]
    view.mark_accessed()
    flags.append((view.accessed, view.modified))
    view.mark_modified()
    flags.append((view.accessed, session.modified))
    assert flags == [(False, False), (True, False), (True, True)]
    assert isinstance(view, dict)
    with pytest.raises(TypeError, match="unhashable"):
        hash(view)


@define
class Tokens:
    token: str = Factory(lambda: "made for this visitor")
    n: int = 0


@pytest.mark.parametrize("schema", [Visitor, Tokens, None], ids=["class", "generated default", "no schema"])
async def test_what_is_underneath_is_what_is_stored_of_a_session_that_came(schema: Any) -> None:
    interface: SecureCookieSessionInterface[Any] = SecureCookieSessionInterface(schema)
    app: Any = type("App", (), {"config": {"SECRET_KEY": "a secret key that is long enough"}})()
    made = SecureCookieSession(schema=schema)
    name = "n" if schema is Tokens else "user_id"
    made.update({name: 7, "_permanent": True, "extra": [1], "more": 2})
    request: Any = type("Request", (), {"cookies": {"session": interface.seal(app, made)}})()
    session = await interface.open_session(app, request)
    assert session is not None
    view = RequestSession(session)
    view.mark_accessed()
    stored = {key: value for key, value in session.items() if key != "_permanent"}
    assert dict.copy(view) == stored
    assert view == stored
    assert not session.modified
    view["extra"].append(2)
    assert session.modified


async def test_an_explicit_default_that_came_is_shown() -> None:
    interface = SecureCookieSessionInterface(Visitor)
    app: Any = type("App", (), {"config": {"SECRET_KEY": "a secret key that is long enough"}})()
    made = SecureCookieSession({"user_id": None}, schema=Visitor)
    request: Any = type("Request", (), {"cookies": {"session": interface.seal(app, made)}})()
    session = await interface.open_session(app, request)
    assert session is not None
    view = RequestSession(session)
    view.mark_accessed()
    assert dict.copy(view) == {"user_id": None} == dict(session)
