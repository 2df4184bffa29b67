"""The interface as a drop-in for Quart's: its members, its helpers, and what a subclass overrides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.cookies import SimpleCookie
from typing import Any

import flask
import pytest
import quart.sessions
from attrs import Factory, define
from flask.sessions import SecureCookieSession as FlaskSession
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, Response
from typing_extensions import override
from werkzeug.local import LocalProxy

from typed_sessions import (
    ConfigurationError,
    NullSession,
    Schema,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
)
from typed_sessions.frameworks.interface import ConfiguredApp, CookieRequest, CookieResponse
from typed_sessions.serializers import JSONTag, TaggedJSONSerializer
from typed_sessions.serializers.base import AnySerializer

SECRET = "a secret key that is long enough"


@define
class Request:
    cookies: dict[str, str] = Factory(dict[str, str])


def app(**config: object) -> Quart:
    made = Quart(__name__)
    made.config.update({"SECRET_KEY": SECRET, **config})
    return made


def value_of(response: Any) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie.load(response.headers["Set-Cookie"])
    return cookie["session"].value


async def test_what_is_saved_is_opened() -> None:
    interface, session, response = SecureCookieSessionInterface(), SecureCookieSession(), Response("")
    session["something"] = "else"
    await interface.save_session(app(), session, response)
    opened = await interface.open_session(app(), Request({"session": value_of(response)}))
    assert opened == session
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SESSION_COOKIE_SAMESITE", False),
        ("SESSION_COOKIE_NAME", None),
        ("SESSION_COOKIE_NAME", False),
        ("APPLICATION_ROOT", None),
        ("APPLICATION_ROOT", False),
    ],
)
async def test_a_setting_that_says_nothing_is_that_of_quart(setting: str, value: object) -> None:
    interface, made = SecureCookieSessionInterface(), app(**{setting: value})
    changes: list[Callable[[Any], object]] = [lambda session: session.update(a=1), lambda session: session.clear()]
    for change in changes:
        session, response = SecureCookieSession({"b": 1}), Response("")
        change(session)
        await interface.save_session(made, session, response)
        assert response.headers["Set-Cookie"].startswith("session=")
        assert "Path=/" in response.headers["Set-Cookie"]


async def test_a_config_without_settings_is_that_of_quart() -> None:
    @define
    class Bare:
        config: dict[str, Any]

    class Stock(SecureCookieSessionInterface):
        """One that looks at each setting for itself."""

        @override
        def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession) -> bool:
            return super().should_set_cookie(app, session)

    session, response = SecureCookieSession(), Response("")
    session["a"] = 1
    await Stock().save_session(Bare({"SECRET_KEY": SECRET}), session, response)
    assert response.headers["Set-Cookie"].endswith("; HttpOnly; Path=/")


@pytest.mark.parametrize(("accessed", "vary"), [(True, "Cookie"), (False, None)])
async def test_a_session_said_to_be_unmodified_is_not_written(accessed: bool, vary: str | None) -> None:
    session, response = SecureCookieSession(), Response("")
    session["something"] = "else"
    session.modified = False
    session.accessed = accessed
    await SecureCookieSessionInterface().save_session(app(), session, response)
    assert response.headers.get("Set-Cookie") is None
    assert response.headers.get("Vary") == vary


async def test_an_empty_session_said_to_be_modified_is_deleted() -> None:
    session, response = SecureCookieSession(), Response("")
    session.modified = True
    await SecureCookieSessionInterface().save_session(app(), session, response)
    assert "Max-Age=0" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("made", [app(), flask.Flask(__name__)], ids=["quart", "flask"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {
            "SESSION_COOKIE_NAME": "sid",
            "SESSION_COOKIE_DOMAIN": "example.com",
            "SESSION_COOKIE_PATH": "/p",
            "SESSION_COOKIE_HTTPONLY": False,
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_PARTITIONED": True,
        },
    ],
    ids=["defaults", "all-set"],
)
def test_the_cookie_helpers_answer_as_quarts(made: Any, config: dict[str, object]) -> None:
    made.config.update(config)
    ours, theirs = SecureCookieSessionInterface(), quart.sessions.SecureCookieSessionInterface()
    for name in ("name", "domain", "path", "httponly", "secure", "samesite", "partitioned"):
        helper = f"get_cookie_{name}"
        if name == "partitioned" and not hasattr(theirs, helper):  # Quart has it from 0.21 on
            assert ours.get_cookie_partitioned(made) is made.config.get("SESSION_COOKIE_PARTITIONED", False)
        else:
            assert getattr(ours, helper)(made) == getattr(theirs, helper)(made)


def test_the_members_of_quarts_interface_are_here_with_the_same_values() -> None:
    ours, theirs = SecureCookieSessionInterface(), quart.sessions.SecureCookieSessionInterface()
    for name in ("salt", "key_derivation", "digest_method"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.session_class is SecureCookieSession
    assert ours.null_session_class is NullSession
    assert ours.pickle_based is False
    assert isinstance(ours.serializer, TaggedJSONSerializer)
    members = {name for name in dir(theirs) if not name.startswith("_")}
    assert members <= set(dir(ours))


async def test_null_sessions_are_told_from_others() -> None:
    interface = SecureCookieSessionInterface(schema=Visitor)
    null = await interface.make_null_session(app())
    assert interface.is_null_session(null)
    assert interface.is_null_session(LocalProxy(lambda: null))
    assert not interface.is_null_session(SecureCookieSession())
    assert not interface.is_null_session(LocalProxy(SecureCookieSession))
    assert not interface.is_null_session(None)
    assert await interface.open_session(app(SECRET_KEY=None), Request()) is None


@define
class Visitor:
    user_id: int | None = None


def test_the_expiry_is_that_of_a_permanent_session() -> None:
    interface = SecureCookieSessionInterface(clock=lambda: 1_800_000_000)
    session = SecureCookieSession()
    made = app(PERMANENT_SESSION_LIFETIME=60)
    assert interface.get_expiration_time(made, session) is None
    session.permanent = True
    assert interface.get_expiration_time(made, session) == datetime.fromtimestamp(1_800_000_060, UTC)


async def test_another_librarys_session_is_saved_by_its_contents_and_flags() -> None:
    theirs, response = FlaskSession({"user_id": 7}), Response("")
    theirs["x"] = (1, 2)
    theirs.accessed = True
    interface = SecureCookieSessionInterface(Visitor)
    await interface.save_session(app(), theirs, response)  # type: ignore[arg-type]  # typed as this library's own
    opened = await interface.open_session(app(), Request({"session": value_of(response)}))
    assert opened == {"user_id": 7, "x": (1, 2)}


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    @override
    def __hash__(self) -> int:
        return hash(self.x)


class TagPoint(JSONTag):
    __slots__ = ()
    key = " p"

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, Point)

    @override
    def to_json(self, value: Point) -> object:
        return value.x

    @override
    def to_python(self, value: int) -> Point:
        return Point(value)


WITH_POINTS = TaggedJSONSerializer()
WITH_POINTS.register(TagPoint)


class Customised(SecureCookieSessionInterface):
    salt: str | bytes = "salt of ours"
    key_derivation = "concat"
    digest_method = staticmethod(hashlib.sha512)
    serializer: AnySerializer = WITH_POINTS

    @override
    def get_cookie_name(self, app: ConfiguredApp) -> str:
        return "session"

    @override
    def get_cookie_path(self, app: ConfiguredApp) -> str:
        return "/over/ridden"

    @override
    def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession) -> bool:
        return "quiet" not in session and super().should_set_cookie(app, session)


async def test_a_subclass_overrides_salt_digest_serializer_and_helpers() -> None:
    interface, response = Customised(), Response("")
    session = SecureCookieSession()
    session["at"] = Point(3)
    await interface.save_session(app(SESSION_COOKIE_NAME="unused"), session, response)
    assert "Path=/over/ridden" in response.headers["Set-Cookie"]
    oracle = URLSafeTimedSerializer(
        SECRET,
        salt="salt of ours",
        serializer=WITH_POINTS,
        signer_kwargs={"key_derivation": "concat", "digest_method": hashlib.sha512},
    )
    assert oracle.loads(value_of(response)) == {"at": Point(3)}
    opened = await interface.open_session(app(), Request({"session": value_of(response)}))
    assert opened == {"at": Point(3)}


async def test_a_subclass_decides_what_is_written() -> None:
    session, response = SecureCookieSession(), Response("")
    session["quiet"] = True
    await Customised().save_session(app(), session, response)
    assert "Set-Cookie" not in response.headers


async def test_a_session_class_of_ones_own_is_opened() -> None:
    class Mine(SecureCookieSession):
        pass

    interface = SecureCookieSessionInterface()
    interface.session_class = Mine
    assert type(await interface.open_session(app(), Request())) is Mine


async def test_an_interface_of_ones_own_gets_the_helpers_from_the_protocol() -> None:
    class Memory(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession]):
        kept = SecureCookieSession()

        @override
        async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession:
            return self.kept

        @override
        async def save_session(
            self, app: ConfiguredApp, session: SecureCookieSession, response: CookieResponse | None
        ) -> None:
            self.kept = session

    memory, made = Memory(), app(PERMANENT_SESSION_LIFETIME=timedelta(days=1))
    session = SecureCookieSession()
    session.permanent = True
    assert memory.get_cookie_name(made) == "session"
    assert memory.get_cookie_path(made) == "/"
    assert memory.get_cookie_domain(made) is None
    assert memory.get_cookie_samesite(made) is None
    assert (memory.get_cookie_httponly(made), memory.get_cookie_secure(made)) == (True, False)
    assert not memory.get_cookie_partitioned(made)
    assert memory.should_set_cookie(made, session)
    expires = memory.get_expiration_time(made, session)
    assert expires is not None
    assert abs(expires - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    assert memory.is_null_session(await memory.make_null_session(made))
    assert memory.pickle_based is False


def test_an_interface_that_opens_nothing_cannot_be_made() -> None:
    class Half(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession]):
        pass

    with pytest.raises(TypeError, match="open_session"):
        Half()  # type: ignore[abstract]  # the misuse


async def test_one_interface_serves_applications_with_different_settings() -> None:
    interface = SecureCookieSessionInterface()
    first, second = app(), app(SECRET_KEY="another secret key, just as long")
    session = await interface.open_session(first, Request())
    assert session is not None
    session["a"] = 1
    text = interface.seal(first, session)
    for made, contents in [(first, {"a": 1}), (second, {}), (first, {"a": 1})]:
        assert await interface.open_session(made, Request({"session": text})) == contents


@pytest.mark.parametrize("digest", ["sha256", "sha512", "blake2b"])
async def test_the_digest_is_a_setting_and_fallbacks_verify(digest: str) -> None:
    interface = SecureCookieSessionInterface()
    session = SecureCookieSession({"a": 1})
    old = interface.seal(app(), session)
    configured = app(SESSION_DIGEST=digest)
    assert await interface.open_session(configured, Request({"session": old})) == {}
    new = interface.seal(configured, session)
    configured.config["SESSION_DIGEST_FALLBACKS"] = ["sha1"]
    assert await interface.open_session(configured, Request({"session": old})) == {"a": 1}
    assert await interface.open_session(configured, Request({"session": new})) == {"a": 1}


async def test_settings_are_read_again_only_when_one_changed() -> None:
    interface, made = SecureCookieSessionInterface(Visitor), app(SECRET_KEY_FALLBACKS=["an older key, long ago"])
    before = interface._applications.rules_of(made)
    assert interface._applications.rules_of(made) is before
    made.config["SECRET_KEY_FALLBACKS"].append("an even older key, not so long ago")
    assert interface._applications.rules_of(made) is not before


async def test_two_applications_do_not_push_each_others_settings_out() -> None:
    interface = SecureCookieSessionInterface(Visitor)
    first, second = app(), app(SECRET_KEY="another secret key, just as long")
    formats = [interface._applications.rules_of(made).formats for made in (first, second)]
    assert [interface._applications.rules_of(made).formats for made in (first, second)] == formats
    for number in range(100):
        interface._applications.rules_of(app(SECRET_KEY=f"one of many secret keys, number {number}"))
    assert len(interface._applications._recent) < 10


def test_a_wrong_serializer_argument_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="tagged-json"):
        SecureCookieSessionInterface(serializer="tagged_json")  # type: ignore[call-overload]  # the misuse
    with pytest.raises(ConfigurationError, match="dumps"):
        SecureCookieSessionInterface(serializer=object())  # type: ignore[call-overload]  # the misuse


def test_the_schema_of_an_interface_is_compiled_once() -> None:
    interface = SecureCookieSessionInterface(Visitor)
    assert isinstance(interface.schema, Schema)
    assert list(interface.schema.fields) == ["user_id"]


async def test_a_change_made_while_saving_is_written() -> None:
    class Counting(SecureCookieSessionInterface):
        @override
        def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession) -> bool:
            count = session.get("n", 0)
            assert isinstance(count, int)
            session["n"] = count + 1
            return True

    interface, text = Counting(), ""
    for expected in (1, 2, 3):
        session = await interface.open_session(app(), Request({"session": text} if text else {}))
        assert session is not None
        response = Response("")
        await interface.save_session(app(), session, response)
        text = value_of(response)
        assert session["n"] == expected


@pytest.mark.parametrize("made", [SecureCookieSession, quart.sessions.SecureCookieSession], ids=["ours", "quarts"])
async def test_a_session_that_a_program_has_made_is_kept_where_all_others_are(made: Any) -> None:
    interface, keeping = SecureCookieSessionInterface(), app(SESSION_STORE="memory://")
    session, response = made(), Response("")
    session["n"] = 1
    await interface.save_session(keeping, session, response)
    assert "." not in value_of(response)  # an identifier, no contents
    assert await interface.open_session(keeping, Request({"session": value_of(response)})) == {"n": 1}


async def test_a_naive_expiry_counts_as_utc() -> None:
    class Later(SecureCookieSessionInterface):
        @override
        def get_expiration_time(self, app: ConfiguredApp, session: SecureCookieSession) -> datetime | None:
            return datetime(2030, 1, 1, 12)  # noqa: DTZ001 -- as users write it

    session, response = SecureCookieSession(), Response("")
    session["a"] = 1
    await Later().save_session(app(), session, response)
    assert "Expires=Tue, 01 Jan 2030 12:00:00 GMT" in response.headers["Set-Cookie"]


async def test_overrides_that_could_not_be_honoured_are_refused() -> None:
    class Signing(SecureCookieSessionInterface):
        @override
        def get_signing_serializer(self, app: ConfiguredApp) -> URLSafeTimedSerializer | None:
            return super().get_signing_serializer(app)

    class Foreign(SecureCookieSessionInterface):
        session_class = FlaskSession  # type: ignore[assignment]  # the misuse

    for interface, named in ((Signing(), "get_signing_serializer"), (Foreign(), "session_class")):
        with pytest.raises(ConfigurationError, match=named):
            await interface.open_session(app(), Request())


def test_no_secret_is_in_a_repr() -> None:
    interface = SecureCookieSessionInterface()
    made = app(SECRET_KEY_FALLBACKS=["an older secret key, long ago"])
    rules = interface._applications.rules_of(made)
    assert SECRET not in repr(rules)
    assert "older secret" not in repr(rules)


async def test_the_setting_that_names_the_interfaces_own_serializer_keeps_its_tags() -> None:
    interface = Customised()
    session = SecureCookieSession()
    session["at"] = Point(3)
    named = app(SESSION_SERIALIZER="tagged-json")
    assert await interface.open_session(named, Request({"session": interface.seal(named, session)})) == {"at": Point(3)}


async def test_a_permanence_of_ones_own_is_refreshed() -> None:
    class Always(SecureCookieSession):
        permanent = True

    interface = SecureCookieSessionInterface()
    interface.session_class = Always
    text = interface.seal(app(), SecureCookieSession({"a": 1}))
    session = await interface.open_session(app(), Request({"session": text}))
    assert session is not None
    assert interface.should_set_cookie(app(), session)
    assert not session.accessed


async def saved(interface: SecureCookieSessionInterface[Any], made: Quart, session: Any) -> str:
    response = Response("")
    await interface.save_session(made, session, response)
    return response.headers.get("Set-Cookie", "")


async def test_a_method_that_is_replaced_on_the_interface_counts_at_once() -> None:
    interface: Any = SecureCookieSessionInterface()
    made, session = app(), SecureCookieSession()
    session["a"] = 1
    assert "Secure" not in await saved(interface, made, session)
    interface.get_cookie_secure = lambda _app: True
    session["a"] = 2
    assert "Secure" in await saved(interface, made, session)
    del interface.get_cookie_secure
    session["a"] = 3
    assert "Secure" not in await saved(interface, made, session)


async def test_a_salt_that_is_taken_back_is_the_classes_again() -> None:
    interface = SecureCookieSessionInterface()
    made, session = app(), SecureCookieSession()
    session["a"] = 1
    cookie = (await saved(interface, made, session)).partition("=")[2].partition(";")[0]
    interface.salt = "another"
    other = await interface.open_session(made, Request({"session": cookie}))
    assert other == {}
    del interface.salt
    assert await interface.open_session(made, Request({"session": cookie})) == {"a": 1}


async def test_a_salt_that_is_computed_is_asked_for_with_each_request() -> None:
    tenants = ["one", "other"]

    class Tenants(SecureCookieSessionInterface):
        """One that is made for each tenant of an application."""

    setattr(Tenants, "salt", property(lambda _: tenants[0]))  # noqa: B010 -- a checker takes it for a plain attribute
    interface, made, session = Tenants(), app(), SecureCookieSession()
    session["a"] = 1
    cookie = (await saved(interface, made, session)).partition("=")[2].partition(";")[0]
    assert await interface.open_session(made, Request({"session": cookie})) == {"a": 1}
    tenants.reverse()
    assert await interface.open_session(made, Request({"session": cookie})) == {}


async def test_a_subclass_may_change_the_session_when_it_is_asked_whether_to_save() -> None:
    class Stamping(SecureCookieSessionInterface):
        @override
        def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession) -> bool:
            session.data["stamp"] = 1
            return True

    interface, made, session = Stamping(), app(), SecureCookieSession()
    session["a"] = 1
    cookie = (await saved(interface, made, session)).partition("=")[2].partition(";")[0]
    assert await interface.open_session(made, Request({"session": cookie})) == {"a": 1, "stamp": 1}


async def test_the_name_of_a_cookie_is_asked_for_while_its_request_is_handled() -> None:
    names = ["session"]

    class Named(SecureCookieSessionInterface):
        @override
        def get_cookie_name(self, app: ConfiguredApp) -> str:
            return names[0]

    interface, made, session = Named(), app(), SecureCookieSession()
    session["a"] = 1
    cookie = (await saved(interface, made, session)).partition("=")[2].partition(";")[0]
    opened = await interface.open_session(made, Request({"session": cookie}))
    names[0] = "other"
    assert opened == {"a": 1}


class TagDecimal(JSONTag):
    key = " dec"

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, Decimal)

    @override
    def to_json(self, value: Decimal) -> object:
        return str(value)

    @override
    def to_python(self, value: str) -> object:
        return Decimal(value)


@pytest.mark.parametrize("place", ["setting", "fallback", "argument"])
async def test_tags_of_ones_own_are_kept_wherever_the_serializer_stands(place: str) -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagDecimal, index=0)
    configs: dict[str, dict[str, Any]] = {
        "setting": {"SESSION_SERIALIZER": serializer},
        "fallback": {"SESSION_SERIALIZER": "msgspec-json", "SESSION_SERIALIZER_FALLBACKS": [serializer]},
        "argument": {"SESSION_SERIALIZER": "msgspec-json"},
    }
    given: Any = serializer if place == "argument" else None
    session = SecureCookieSession()
    session["price"] = Decimal("1.5")
    before = SecureCookieSessionInterface(serializer=serializer)
    cookie = (await saved(before, app(), session)).partition("=")[2].partition(";")[0]
    interface, made = SecureCookieSessionInterface(serializer=given), app(**configs[place])
    assert await interface.open_session(made, Request({"session": cookie})) == {"price": Decimal("1.5")}
    if place == "setting":
        session["price"] = Decimal("2.5")
        cookie = (await saved(interface, made, session)).partition("=")[2].partition(";")[0]
        assert await before.open_session(app(), Request({"session": cookie})) == {"price": Decimal("2.5")}
