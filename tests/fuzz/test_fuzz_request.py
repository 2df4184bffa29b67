"""Any `Cookie` header, through a whole application: a page, never an error. Long: `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from functools import lru_cache, partial

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode, int_to_bytes
from quart import Quart

from tests.cases import case
from tests.fuzz.payloads import FIELDS, PAYLOADS, Visitor, dumped, salt_of, texts
from tests.strategies import edited, json_values
from typed_sessions.quart import Sessions
from typed_sessions.serializers.base import BUILT_IN

SECRET = "a secret key that is long enough"
NAMES = list(BUILT_IN)

REFRESH_AFTER = timedelta(days=20)
"""Older than any cookie here that is still read, so that a cookie after a read would be a change."""

octets = st.characters(max_codepoint=0xFF, exclude_characters="\r\n")
"""What a server lets into a header, as it hands it over: bytes, decoded as latin-1."""


@lru_cache
def app_of(name: str) -> Quart:
    app = Quart(__name__)
    app.config.update(
        SECRET_KEY=SECRET, SESSION_SERIALIZER=name, MAX_COOKIE_SIZE=0, SESSION_REFRESH_AFTER=REFRESH_AFTER
    )
    sessions = Sessions(Visitor, app)

    @app.get("/read")
    async def read() -> str:
        return ascii(sessions.data) + ascii(dict(sessions.current)) + str(sessions.current.permanent)

    @app.get("/clear")
    async def clear() -> str:
        sessions.current.clear()
        return ""

    return app


def sealed(name: str, payload: bytes, age: int = 0) -> str:
    stamp = base64_encode(int_to_bytes(int(time.time()) - age))
    signer = Signer(SECRET, salt=salt_of(name), key_derivation="hmac", digest_method=hashlib.sha1)
    return signer.sign(base64_encode(payload) + b"." + stamp).decode()


def stored() -> SearchStrategy[dict[str, object]]:
    """What a session may hold, and what does not fit its fields."""
    keys = st.one_of(st.sampled_from(FIELDS), st.sampled_from(("_permanent", "_flashes", "_version")), _encodable())
    return st.dictionaries(keys, st.one_of(json_values(), _encodable()), max_size=2)


def _encodable() -> SearchStrategy[str]:
    return texts().filter(lambda text: text.isprintable() or text.isascii())


@st.composite
def cookie_texts(draw: st.DrawFn) -> str:
    """A value: anything, or a genuine text of one format and any age, or an edit of it."""
    name, age = draw(st.sampled_from(NAMES)), draw(st.sampled_from((0, 0, 0, 10**6, 10**9, -(10**6))))
    genuine = sealed(name, draw(st.one_of(stored().map(partial(dumped, name)), PAYLOADS[name]())), age)
    return draw(st.one_of(st.just(genuine), edited(genuine, octets), st.text(octets, max_size=30)))


@st.composite
def cookie_headers(draw: st.DrawFn) -> str:
    """Several cookies, most of them called as the session is, or nearly."""
    names = st.one_of(
        st.just("session"),
        st.sampled_from(("sessio", "session2", "session ", "Session", "__Host-session", '"session"', "", "=session")),
        st.text(octets, max_size=9),
    )
    pairs = draw(st.lists(st.tuples(names, cookie_texts()), max_size=3))
    quote = draw(st.sampled_from(("", "", '"')))
    return draw(st.sampled_from(("; ", ";", ",", " "))).join(f"{key}={quote}{text}{quote}" for key, text in pairs)


async def status_of(name: str, header: str, path: str) -> tuple[int, list[str]]:
    client = app_of(name).test_client(use_cookies=False)
    response = await client.get(path, headers={"Cookie": header})
    return response.status_code, response.headers.getlist("Set-Cookie")


@given(
    name=st.sampled_from(NAMES),
    header=st.one_of(st.text(octets, max_size=60), st.text(octets, max_size=60).map("session={}".format)),
)
async def test_any_header_gives_a_page(name: str, header: str) -> None:
    assert await status_of(name, header, "/read") == (200, [])


@given(header=cookie_headers())
async def test_any_cookies_give_a_page_a_read_sets_none_and_a_log_out_works(header: str) -> None:
    for name in NAMES:
        with case(name):
            assert await status_of(name, header, "/read") == (200, [])
            status, cookies = await status_of(name, header, "/clear")
            assert status == 200
            assert all("Max-Age=0" in cookie for cookie in cookies)
