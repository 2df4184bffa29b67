"""Several session cookies in one request: which one is read, and what becomes of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from attrs import Factory, define
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode, int_to_bytes
from quart import Quart, flash, websocket
from typing_extensions import override

from typed_sessions import Essential
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.quart import Sessions, session_refused
from typed_sessions.reports import Reason, Refused, Report, log_report

SECRET = "the secret key of these tests"
NOW = 1_800_000_000
NAMES = ["tagged-json", "msgspec-json", "msgspec-msgpack"]
EVERY_FORMAT = pytest.mark.parametrize("name", NAMES)


@define
class Visitor:
    user_id: int | None = None
    tenant: Annotated[int, Essential] = 0
    cart: list[str] = Factory(list[str])


def cookie(name: str = "tagged-json", *, at: int = NOW, payload: bytes | None = None, **contents: object) -> str:
    """Return the value of a genuine cookie of some second."""
    salt = "cookie-session" if name == "tagged-json" else f"cookie-session.{name}"
    if payload is None:
        payload = msgspec.msgpack.encode(contents) if name == "msgspec-msgpack" else json.dumps(contents).encode()
    signer = Signer(SECRET, salt=salt, key_derivation="hmac", digest_method=hashlib.sha1)
    return signer.sign(base64_encode(payload) + b"." + base64_encode(int_to_bytes(at))).decode()


def application(interface: type[QuartSessionInterface[Visitor]] = QuartSessionInterface, **config: object) -> Quart:
    """Return an application whose time stands still."""
    app = Quart(__name__)
    app.config.update({"SECRET_KEY": SECRET, **config})
    sessions = Sessions(Visitor, app)

    def report(_: object, report: Report) -> None:
        log_report(report)
        if isinstance(report, Refused):
            session_refused.send(app, report=report)

    setattr(app, "session_interface", interface(Visitor, clock=lambda: NOW, report=report))  # noqa: B010 -- Quart's type

    @app.get("/read")
    async def read() -> str:
        return f"{sessions.data.user_id}"

    @app.get("/nothing")
    async def nothing() -> str:
        return ""

    @app.get("/login/<int:user_id>")
    async def login(user_id: int) -> str:
        before = sessions.data.user_id
        sessions.current.promote(user_id=user_id)
        return f"{before}"

    @app.get("/logout")
    async def logout() -> str:
        sessions.current.clear()
        return ""

    @app.get("/end")
    async def end() -> str:
        sessions.current.invalidate()
        return ""

    @app.get("/end-and-tell")
    async def end_and_tell() -> str:
        sessions.current.invalidate()
        await flash("see you")
        return ""

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(f"{sessions.data.user_id}")

    return app


async def visit(app: Quart, path: str, *texts: str) -> tuple[str, list[str], list[Reason]]:
    """Return the page, the `Set-Cookie` headers and the refusals of a request with these cookies."""
    reasons: list[Reason] = []

    def refused(_: Quart, report: Refused) -> None:
        reasons.append(report.reason)

    header = "; ".join(f"{app.config['SESSION_COOKIE_NAME']}={text}" for text in texts)
    client = app.test_client(use_cookies=False)
    with session_refused.connected_to(refused, app):
        response = await client.get(path, headers={"Cookie": header})
    assert response.status_code == 200
    return await response.get_data(as_text=True), response.headers.getlist("Set-Cookie"), reasons


def places(headers: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Return the domain and the path of each header, and whether it expires what is there."""
    attributes = [dict(part.strip().partition("=")[::2] for part in header.split(";")[1:]) for header in headers]
    return [(each.get("Domain", ""), each["Path"], "Max-Age" in each) for each in attributes]


@EVERY_FORMAT
@pytest.mark.parametrize(
    ("ages", "user"),
    [
        pytest.param([9, 5], "1", id="newest last"),
        pytest.param([5, 9], "0", id="newest first"),
        pytest.param([7, 3, 5], "1", id="newest between"),
        pytest.param([5, 5], "0", id="a tie"),
        pytest.param([10**7, 5], "1", id="the other expired"),
        pytest.param([-25, 5], "0", id="newest ahead of this clock"),
        pytest.param([-300, 5], "1", id="the other past the leeway"),
    ],
)
async def test_of_several_genuine_cookies_the_one_sealed_last_is_read(name: str, ages: list[int], user: str) -> None:
    app = application(SESSION_SERIALIZER=name)
    texts = [cookie(name, at=NOW - age, user_id=number) for number, age in enumerate(ages)]
    assert await visit(app, "/read", *texts) == (user, [], [])
    client = app.test_client(use_cookies=False)
    async with client.websocket("/ws", headers={"Cookie": "; ".join(f"session={text}" for text in texts)}) as socket:
        assert await socket.receive() == user


async def test_the_cookie_sealed_last_is_read_whichever_format_it_has() -> None:
    texts = [cookie(name, at=NOW - age, user_id=age) for name, age in zip(NAMES, (3, 1, 2), strict=True)]
    for name in NAMES:
        assert (await visit(application(SESSION_SERIALIZER=name), "/read", *texts))[0] == "1"


@pytest.mark.parametrize("path", ["/login/7", "/logout", "/end", "/end-and-tell"])
@pytest.mark.parametrize(
    ("config", "others"),
    [
        pytest.param({}, [], id="nothing set"),
        pytest.param({"SESSION_COOKIE_DOMAIN": "shop.example"}, [("", "/")], id="domain"),
        pytest.param({"SESSION_COOKIE_DOMAIN": ".Shop.example:443"}, [("", "/")], id="domain, spelled otherwise"),
        pytest.param({"SESSION_COOKIE_PATH": "/shop"}, [("", "/")], id="path"),
        pytest.param({"APPLICATION_ROOT": "/app"}, [("", "/")], id="root"),
        pytest.param({"SESSION_COOKIE_PATH": "/", "APPLICATION_ROOT": "/app"}, [("", "/app")], id="path over a root"),
        pytest.param(
            {"SESSION_COOKIE_PATH": "/sh op", "APPLICATION_ROOT": "/app", "SESSION_COOKIE_DOMAIN": "shop.example"},
            [
                *[("", "/"), ("", "/sh%20op"), ("", "/app")],
                *[("shop.example", "/"), ("shop.example", "/app")],
            ],
            id="all",
        ),
    ],
)
async def test_a_response_that_sets_or_deletes_the_cookie_expires_its_rivals(
    path: str, config: dict[str, Any], others: list[tuple[str, str]]
) -> None:
    app = application(**config)
    texts = [cookie(at=NOW - 9, user_id=1), cookie(at=NOW - 5, user_id=2)]
    alone = (await visit(app, path, texts[1]))[1]
    headers = (await visit(app, path, *texts))[1]
    assert headers[-1:] == alone
    assert sorted(places(headers[:-1])) == sorted((*other, True) for other in others)


async def test_the_expiring_headers_have_the_flags_of_the_deleting_one() -> None:
    flags: dict[str, Any] = {
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "None",
        "SESSION_COOKIE_PARTITIONED": True,
        "SESSION_COOKIE_HTTPONLY": False,
    }
    app = application(SESSION_COOKIE_PATH="/shop", **flags)
    texts = [cookie(user_id=1), cookie(user_id=2)]
    (own,) = (await visit(app, "/logout", texts[0]))[1]
    for path in "/logout", "/login/7":
        assert (await visit(app, path, *texts))[1][0] == own.replace("/shop", "/")


@pytest.mark.parametrize("path", ["/read", "/nothing"])
async def test_a_request_that_changes_nothing_expires_nothing(path: str) -> None:
    app = application(SESSION_COOKIE_PATH="/shop")
    assert (await visit(app, path, cookie(user_id=1), cookie(user_id=2)))[1] == []


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="none"),
        pytest.param(["a.b.c", "", "x"], id="forged"),
        pytest.param([cookie(at=1, user_id=1)], id="expired"),
        pytest.param([cookie(at=NOW + 999, user_id=1)], id="future"),
        pytest.param([cookie(user_id=2).rpartition(".")[0] + ".AAAA"], id="the signed part alone"),
    ],
)
@pytest.mark.parametrize("path", ["/login/7", "/logout"])
@pytest.mark.parametrize("serializer", ["tagged-json", json], ids=["a salt of its own", "a shared salt"])
async def test_one_genuine_cookie_has_no_rivals_whatever_else_comes(
    path: str, others: list[str], serializer: Any
) -> None:
    app = application(SESSION_SERIALIZER=serializer, SESSION_COOKIE_PATH="/shop", SESSION_COOKIE_DOMAIN="shop.example")
    for texts in ([*others, cookie(user_id=2)], [cookie(user_id=2), *others]):
        _, headers, reasons = await visit(app, path, *texts)
        assert (len(headers), reasons) == (1, [])


@pytest.mark.parametrize("second", ["", "!!!!", "="], ids=["equal", "another spelling", "padded"])
async def test_equal_cookies_are_rivals(second: str) -> None:
    app = application(SESSION_COOKIE_PATH="/shop")
    text = cookie(user_id=1)
    assert len((await visit(app, "/login/7", text, text + second))[1]) == 2


async def test_cookies_of_one_payload_in_two_formats_are_rivals() -> None:
    app = application(SESSION_COOKIE_PATH="/shop")
    texts = [cookie(name, payload=b'{"user_id":1}') for name in NAMES[:2]]
    assert len((await visit(app, "/logout", *texts))[1]) == 2


@pytest.mark.parametrize("name", ["__Host-session", "__host-session", "__Host-Http-session"])
async def test_a_cookie_bound_to_its_host_has_no_other_place(name: str) -> None:
    app = application(
        SESSION_COOKIE_NAME=name, SESSION_COOKIE_SECURE=True, APPLICATION_ROOT="/app", SESSION_COOKIE_PATH="/"
    )
    assert len((await visit(app, "/logout", cookie(user_id=1), cookie(user_id=2)))[1]) == 1


class Moving(QuartSessionInterface[Visitor]):
    """Has its own word on where the cookie is."""

    @override
    def get_cookie_domain(self, app: Any) -> str | None:
        return "own.example"

    @override
    def get_cookie_path(self, app: Any) -> str:
        return "/own"


async def test_what_a_subclass_says_is_what_is_configured() -> None:
    app = application(Moving, SESSION_COOKIE_DOMAIN="shop.example", SESSION_COOKIE_PATH="/shop")
    headers = (await visit(app, "/logout", cookie(user_id=1), cookie(user_id=2)))[1]
    assert places(headers) == [
        ("", "/", True),
        ("", "/own", True),
        ("own.example", "/", True),
        ("own.example", "/own", True),
    ]


async def test_a_cookie_too_large_to_be_refreshed_leaves_its_rivals_alone() -> None:
    app = application(MAX_COOKIE_SIZE=50, SESSION_COOKIE_PATH="/shop")
    texts = [cookie(at=NOW - 10**6, user_id=number, _permanent=True) for number in (1, 2)]
    assert (await visit(app, "/read", *texts))[1] == []


async def test_a_refresh_is_judged_by_the_cookie_that_is_read() -> None:
    app = application(SESSION_COOKIE_PATH="/shop", SESSION_REFRESH_AFTER=100)
    old, young = (cookie(at=NOW - age, user_id=age, _permanent=True) for age in (150, 50))
    for texts in ((old, young), (young, old)):
        for path in "/read", "/nothing":
            assert (await visit(app, path, *texts))[1] == []
    older = cookie(at=NOW - 200, user_id=200, _permanent=True)
    assert places((await visit(app, "/nothing", older, old))[1]) == [("", "/", True), ("", "/shop", False)]


async def test_a_new_path_logs_visitors_in_and_out_again() -> None:
    """Two visitors at one browser, whose cookie had another path before."""
    app = application()
    client = app.test_client()
    client.set_cookie("localhost", "session", cookie(at=NOW - 9, user_id=1), path="/")
    app.config["SESSION_COOKIE_PATH"] = "/login"
    pages = [
        await (await client.get(path)).get_data(as_text=True)
        for path in ("/login/7", "/login/8", "/read", "/logout", "/read", "/login/9", "/read")
    ]
    assert pages == ["1", "7", "8", "", "None", "None", "9"]


UNREADABLE = {
    "payload": (b"\xc1", Reason.UNREADABLE),
    "shape": (None, Reason.SHAPE),
    "field": (None, Reason.FIELD),
}


@EVERY_FORMAT
@pytest.mark.parametrize("kind", UNREADABLE)
async def test_an_older_cookie_is_not_read_where_the_newest_cannot_be(name: str, kind: str) -> None:
    app = application(SESSION_SERIALIZER=name, SESSION_COOKIE_PATH="/shop")
    payload, reason = UNREADABLE[kind]
    packed = msgspec.msgpack.encode if name == "msgspec-msgpack" else msgspec.json.encode
    payload = payload or packed([] if kind == "shape" else {"tenant": "x"})
    texts = [cookie(name, at=NOW - 9, user_id=1), cookie(name, payload=payload)]
    assert await visit(app, "/read", *texts) == ("None", [], [reason])
    for path in "/logout", "/end", "/end-and-tell", "/login/7":
        assert len((await visit(app, path, *texts))[1]) == 2


class Counted:
    """A serializer that counts what it reads."""

    reads: ClassVar[int] = 0

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value)

    def loads(self, payload: str, /) -> object:
        Counted.reads += 1
        return json.loads(payload)


SPELLINGS: dict[str, Callable[[str, int], str]] = {
    "junk": lambda text, number: text + "!" * number,
    "padding": lambda text, number: text + "=" * number,
    "inside": lambda text, number: text[: -number - 1] + "****" + text[-number - 1 :],
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("payload", [b"[]", b'{"tenant":"x"}', b'{"user_id":"x"}'], ids=["shape", "field", "reset"])
async def test_other_spellings_of_a_signature_are_decoded_once(
    spell: Callable[[str, int], str], payload: bytes
) -> None:
    app = application(SESSION_SERIALIZER=Counted())
    text = cookie(payload=payload)
    await visit(app, "/read", text)
    Counted.reads = 0
    await visit(app, "/read", text)
    alone = Counted.reads
    await visit(app, "/read", *(spell(text, number) for number in range(1, 27)))
    assert Counted.reads == 2 * alone


@EVERY_FORMAT
async def test_forged_signatures_of_what_is_genuine_do_not_hide_the_genuine_one(name: str) -> None:
    text = cookie(name, user_id=1)
    forged = [f"{text.rpartition('.')[0]}.{number}" for number in range(100)]
    assert (await visit(application(SESSION_SERIALIZER=name), "/read", *forged, text))[0] == "1"


class Hash:
    """A hash that counts how many are made, or copied."""

    made: ClassVar[int] = 0
    block_size = 64
    digest_size = 20

    def __init__(self, data: bytes = b"", state: Any = None) -> None:
        Hash.made += 1
        self._state: Any = hashlib.sha1(data) if state is None else state  # noqa: S324 -- as Quart signs

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def digest(self) -> Any:
        return self._state.digest()

    def copy(self) -> Hash:
        return Hash(state=self._state.copy())


class Hashing(QuartSessionInterface[Visitor]):
    digest_method: Callable[..., Any] = Hash


async def test_however_many_cookies_come_at_most_twenty_signatures_are_checked() -> None:
    app = application(Hashing)
    await visit(app, "/read", "a.b.c")
    made: list[int] = []
    for count in 1, 20, 500:
        Hash.made = 0
        page, _, reasons = await visit(app, "/read", *(f"a{number}.b.{number}" for number in range(count)))
        assert (page, reasons) == ("None", [Reason.SIGNATURE])
        made.append(Hash.made)
    assert made[1] <= 20 * made[0]
    assert made[2] == made[1]


async def test_the_same_signed_part_is_checked_once_however_many_signatures_it_has() -> None:
    app = application(Hashing)
    await visit(app, "/read", "a.b.c")
    Hash.made = 0
    await visit(app, "/read", "a.b.c")
    alone, Hash.made = Hash.made, 0
    await visit(app, "/read", *(f"a.b.{number}" for number in range(500)))
    assert Hash.made <= alone
