"""How large the contents of a session may be: in a cookie, in a store, read and written."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from attrs import Factory, define
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode, int_to_bytes
from quart import Quart

from typed_sessions import SerializationError
from typed_sessions.errors import ConfigurationError
from typed_sessions.quart import Sessions, session_refused
from typed_sessions.reports import Reason, Refused
from typed_sessions.stores import MemoryStore

SECRET = "the secret key of these tests"
NAMES = ["tagged-json", "msgspec-json", "msgspec-msgpack"]
EVERY_FORMAT = pytest.mark.parametrize("name", NAMES)
KIB = 1024


@define
class Visitor:
    name: str = ""
    notes: list[str] = Factory(list[str])


@define
class Shop:
    app: Quart
    errors: list[BaseException] = Factory(list[BaseException])
    refusals: list[Reason] = Factory(list[Reason])
    listener: object = None
    """Is kept as long as this is."""


def shop(name: str, config: Mapping[str, object] | None = None, *, schema: Any = Visitor, store: Any = None) -> Shop:
    app = Quart(__name__)
    app.config.update({"SECRET_KEY": SECRET, "SESSION_SERIALIZER": name, "MAX_COOKIE_SIZE": 0, **(config or {})})
    sessions: Sessions[Any] = Sessions(schema, app, store=store)
    made = Shop(app)

    @app.get("/read")
    async def read() -> str:
        return str(len(sessions.current.get("name", "")))  # type: ignore[arg-type]

    @app.get("/write/<int:size>")
    async def write(size: int) -> str:
        sessions.current["notes"] = ["short"]
        sessions.current["name"] = "n" * size
        return ""

    @app.get("/empty")
    async def empty() -> str:
        sessions.current.pop("name", None)
        return ""

    @app.errorhandler(500)
    async def failed(error: Any) -> tuple[str, int]:
        made.errors.append(error.original_exception)
        return "", 500

    def refused(_: object, report: Refused) -> None:
        made.refusals.append(report.reason)

    made.listener = refused
    session_refused.connect(refused, app)
    return made


def cookie(name: str, size: int, *, deflated: bool = True) -> str:
    """Return the value of a genuine cookie whose payload has so many bytes."""
    dumps = msgspec.msgpack.encode if name == "msgspec-msgpack" else msgspec.json.encode
    frame = len(dumps({"name": "n" * 70_000})) - 70_000 if size > 70_000 else len(dumps({"name": "n" * 1_000})) - 1_000
    payload = dumps({"name": "n" * (size - frame)})
    assert len(payload) == size
    packed = b"." + base64_encode(zlib.compress(payload)) if deflated else base64_encode(payload)
    salt = "cookie-session" if name == "tagged-json" else f"cookie-session.{name}"
    signer = Signer(SECRET, salt=salt, key_derivation="hmac", digest_method=hashlib.sha1)
    return signer.sign(packed + b"." + base64_encode(int_to_bytes(int(time.time())))).decode()


async def visit(made: Shop, path: str, text: str = "") -> tuple[str, list[str]]:
    """Return the page of a request with this cookie, and its `Set-Cookie` headers."""
    client = made.app.test_client(use_cookies=False)
    response = await client.get(path, headers={"Cookie": f"session={text}"} if text else {})
    return await response.get_data(as_text=True), response.headers.getlist("Set-Cookie")


@EVERY_FORMAT
@pytest.mark.parametrize("deflated", [True, False], ids=["deflated", "as it is"])
@pytest.mark.parametrize(("setting", "most"), [(None, 64 * KIB), (2_000, 2_000), (100_000, 100_000)])
async def test_a_cookie_holds_so_much_and_no_more(name: str, deflated: bool, setting: int | None, most: int) -> None:
    made = shop(name, {"SESSION_MAX_PAYLOAD": setting})
    page, _ = await visit(made, "/read", cookie(name, most, deflated=deflated))
    assert int(page) > most - 100
    assert made.refusals == []
    assert await visit(made, "/read", cookie(name, most + 1, deflated=deflated)) == ("0", [])
    assert made.refusals == [Reason.TOO_LARGE]


@EVERY_FORMAT
@pytest.mark.parametrize("schema", [Visitor, None], ids=["a class", "no schema"])
@pytest.mark.parametrize(("setting", "most"), [(None, 64 * KIB), (2_000, 2_000), (100_000, 100_000)])
async def test_more_is_not_written_and_what_takes_most_is_named(
    name: str, schema: Any, setting: int | None, most: int
) -> None:
    made = shop(name, {"SESSION_MAX_PAYLOAD": setting}, schema=schema)
    _, (written,) = await visit(made, f"/write/{most - 100}")
    held = written.partition(";")[0].partition("=")[2]
    assert await visit(made, "/read", held) == (str(most - 100), [])
    for text in (held, ""):
        assert await visit(made, f"/write/{most}", text) == ("", [])
        error = made.errors.pop()
        assert isinstance(error, SerializationError)
        assert "pass SESSION_MAX_PAYLOAD" in str(error)
        assert f"more than {most}, most of them session {'field' if schema else 'key'} name" in str(error)


@EVERY_FORMAT
async def test_a_store_holds_a_mebibyte_unless_the_setting_says_otherwise(name: str) -> None:
    store = MemoryStore()
    made = shop(name, store=store)
    _, (written,) = await visit(made, f"/write/{1024 * KIB - 100}")
    held = written.partition(";")[0].partition("=")[2]
    assert await visit(made, "/read", held) == (str(1024 * KIB - 100), [])
    await visit(made, f"/write/{1024 * KIB}", held)
    assert "more than 1048576" in str(made.errors.pop())
    smaller = shop(name, {"SESSION_MAX_PAYLOAD": 2_000}, store=store)
    assert (await visit(smaller, "/read", held))[0] == "0"
    assert smaller.refusals == [Reason.TOO_LARGE]
    await visit(smaller, "/write/2000")
    assert "more than 2000" in str(smaller.errors.pop())


@EVERY_FORMAT
@pytest.mark.parametrize("deflated", [True, False], ids=["deflated", "as it is"])
async def test_a_cookie_that_a_store_takes_in_is_a_cookie(name: str, deflated: bool) -> None:
    config = {"SESSION_ADOPT_SIGNED_BEFORE": datetime(9999, 1, 1, tzinfo=UTC)}
    made = shop(name, config, store=MemoryStore())
    page, _ = await visit(made, "/read", cookie(name, 64 * KIB, deflated=deflated))
    assert int(page) > 65_000
    assert (await visit(made, "/read", cookie(name, 64 * KIB + 1, deflated=deflated)))[0] == "0"


@EVERY_FORMAT
async def test_a_session_can_be_emptied_whatever_the_limit(name: str) -> None:
    text = cookie(name, 1_500)
    assert (await visit(shop(name, {"SESSION_MAX_PAYLOAD": 1}), "/empty", text))[1] == []
    made = shop(name)
    made.app.config["SESSION_MAX_PAYLOAD"] = 1_500
    _, (header,) = await visit(made, "/empty", text)
    assert "Max-Age=0" in header
    assert made.errors == []


@pytest.mark.parametrize("setting", [0, -1, True, False, "65536", 1.5, 64.0, [1], b"1"], ids=repr)
async def test_a_limit_that_is_no_number_of_bytes_is_refused(setting: object) -> None:
    made = shop("tagged-json", {"SESSION_MAX_PAYLOAD": setting})
    with pytest.raises(ConfigurationError, match="SESSION_MAX_PAYLOAD must be a number of bytes, more than 0"):
        await made.app.startup()
