"""What a request has changed must fit the configured format, whatever format the session came in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from attrs import Factory, define
from quart import Quart

from typed_sessions import SerializationError
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "a secret key that is long enough"
LOSSLESS = pytest.mark.parametrize("name", ["msgspec-json", "msgspec-msgpack"])


@define
class Visitor:
    user_id: int | None = None
    names: list[str] = Factory(list[str])


class Keys(TypedDict, total=False):
    user_id: int
    names: list[str]


KINDS = pytest.mark.parametrize("declared", [None, Visitor, Keys])
CHANGES: dict[str, Callable[[], object]] = {
    "two-keys-of-one-text": lambda: {1: "a", "1": "b"},
    "nan": lambda: math.nan,
    "deep": lambda: [{"a": math.inf}],
}


class Visits:
    """A visitor whom a release with tagged JSON has served, and another release serves now."""

    def __init__(self, declared: Any, name: str, store: MemoryStore | None) -> None:
        self.errors: list[Any] = []
        self.change: Callable[[Any], object] = lambda session: session
        self.store = store
        self.old, self.new = self._app(declared, "tagged-json"), self._app(declared, name)
        self.cookie = ""
        self.payloads: list[object] = []

    def _app(self, declared: Any, name: str) -> Quart:
        app = Quart(__name__)
        settings: dict[str, object] = {"SECRET_KEY": SECRET, "SESSION_SERIALIZER": name}
        app.config.update(settings)
        sessions: Sessions[Any] = Sessions[Any](declared, app, store=self.store)

        @app.get("/")
        async def page() -> str:
            self.change(sessions.current)
            return repr(sorted(map(repr, sessions.current.items())))

        @app.errorhandler(500)
        async def failed(error: Any) -> tuple[str, int]:
            self.errors.append(error.original_exception)
            return "", 500

        return app

    async def visit(self, app: Quart, change: Callable[[Any], object]) -> str:
        self.change = change
        headers = {"Cookie": f"session={self.cookie}"} if self.cookie else {}
        response = await app.test_client().get("/", headers=headers)
        if response.status_code == 200 and "Set-Cookie" in response.headers:
            self.cookie = response.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
        return await response.get_data(as_text=True)


def unchanged(_session: Any) -> None:
    """Change nothing."""


@LOSSLESS
@KINDS
@pytest.mark.parametrize("kept", [False, True], ids=["cookie", "store"])
@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_new_must_fit_as_it_must_for_a_new_visitor(
    name: str, declared: Any, kept: bool, change: str
) -> None:
    visits = Visits(declared, name, MemoryStore() if kept else None)
    await visits.visit(visits.old, lambda session: session.update(user_id=7, names=["a"]))
    before, value = visits.cookie, CHANGES[change]()
    await visits.visit(visits.new, lambda session: session.__setitem__("wrong", value))
    assert [type(error) for error in visits.errors] == [SerializationError]
    assert "wrong" in str(visits.errors[0])
    assert visits.cookie == before
    assert "'user_id', 7" in await visits.visit(visits.new, unchanged)


@LOSSLESS
@KINDS
@pytest.mark.parametrize("kept", [False, True], ids=["cookie", "store"])
async def test_what_is_not_changed_and_does_not_fit_stays_in_its_format(name: str, declared: Any, kept: bool) -> None:
    visits = Visits(declared, name, MemoryStore() if kept else None)
    await visits.visit(visits.old, lambda session: session.update(user_id=7, odd=math.inf))
    await visits.visit(visits.new, lambda session: session.update(names=["a"]))
    assert not visits.errors
    for app in (visits.old, visits.new):
        shown = await visits.visit(app, unchanged)
        assert "inf" in shown
        assert "['a']" in shown
    await visits.visit(visits.new, lambda session: session.update(odd=-math.inf))
    assert ["odd" in str(error) for error in visits.errors] == [True]
    await visits.visit(visits.new, lambda session: session.pop("odd"))
    assert "inf" not in await visits.visit(visits.new, unchanged)
    assert len(visits.errors) == 1
