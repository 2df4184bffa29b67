"""Fields that a model of pydantic deprecates: who reads them is warned, and nobody else.

Warnings are errors in these tests.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from typing_extensions import deprecated

from typed_sessions import FieldTypeError, Session
from typed_sessions.asgi import Sessions
from typed_sessions.serializers.base import SerializerName

SERIALIZERS: tuple[SerializerName, ...] = ("tagged-json", "msgspec-json", "msgspec-msgpack")


SECRET = "a key of this application"


class Visitor(BaseModel):
    old: int = Field(default=0, deprecated=True)
    names: Annotated[list[str], Field(deprecated="use `visits`")] = []
    said: Annotated[str, deprecated("no longer said")] = ""
    visits: int = 0


class Frozen(Visitor):
    model_config = ConfigDict(frozen=True)


class Inner(BaseModel):
    old: int = Field(default=0, deprecated=True)


class Outer(BaseModel):
    inner: Inner = Inner()
    several: list[Inner] = []
    visits: int = 0


MODELS = pytest.mark.parametrize("model", [Visitor, Frozen, Outer])


def served(sessions: Sessions[Any], *uses: Callable[[Session[Any]], object]) -> None:
    """Let one visitor come once for each use."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        use(sessions.on(Request(scope)))
        await PlainTextResponse("")(scope, receive, send)

    client = TestClient(sessions.middleware(app))
    for use in uses:  # noqa: B007 -- the application has it
        client.get("/")


def visit(session: Session[Any]) -> None:
    session["visits"] = session.data.visits + 1


def look_at_all(session: Session[Any]) -> None:
    stored = session.copy()
    assert {key: session[key] for key in session} == stored == dict(session.items())
    assert repr(session)
    assert session == stored
    assert copy.copy(session) == copy.deepcopy(session) == stored


def fill(session: Session[Any]) -> None:
    if "old" in type(session.data).model_fields:
        session.update(old=7, names=["Ada"], said="hello")
    else:
        session.update(inner=Inner(old=7), several=[Inner(old=8)])


def fail(session: Session[Any]) -> None:
    with pytest.raises(FieldTypeError):
        session.update(dict.fromkeys(session.copy(), object()))


@MODELS
@pytest.mark.parametrize("store", [None, "memory://"], ids=["cookies", "memory"])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_what_the_library_reads_warns_nobody(model: Any, store: str | None, serializer: SerializerName) -> None:
    sessions: Sessions[Any] = Sessions(model, secret_key=SECRET, store=store, serializer=serializer)
    seen: list[dict[str, object]] = []
    served(
        sessions,
        *(look_at_all, visit, look_at_all, fill, look_at_all, visit, visit, fill, fail),
        lambda session: seen.append(session.copy()),
        *(lambda session: sessions.replace(session.data), look_at_all),
        *(lambda session: session.promote(visits=9), lambda session: session.clear(), look_at_all),
    )
    if model is Outer:
        assert seen[0]["several"] == [Inner(old=8)]
    else:
        assert seen == [{"_permanent": True, "visits": 3, "old": 7, "names": ["Ada"], "said": "hello"}]


def test_a_nested_change_of_one_is_saved() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    found: list[object] = []

    def append(session: Session[Visitor]) -> None:
        with pytest.warns(DeprecationWarning, match="use `visits`"):
            session.data.names.append("Ada")
        session.data.old = 8  # to write it warns nobody: so pydantic has it

    served(sessions, append, append, lambda session: found.extend((session["names"], session["old"])))
    assert found == [["Ada", "Ada"], 8]


def test_what_a_program_reads_warns_at_its_line() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)

    def read(session: Session[Visitor]) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert session.data.old == 0
        assert [each.filename for each in caught] == [__file__]

    served(sessions, read, read)
