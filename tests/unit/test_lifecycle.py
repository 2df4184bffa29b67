"""Opening and saving as functions of values: what becomes of a cookie, and of headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Annotated, Any, TypeVar, cast
from uuid import UUID

import pytest
from attrs import Factory, define, evolve, frozen
from typing_extensions import override

from typed_sessions import (
    ConfigurationError,
    CookieTooLargeError,
    Essential,
    Schema,
    SecureCookieSession,
    SerializationError,
    migration,
)
from typed_sessions.codec.codec import Codec
from typed_sessions.codec.contents import contents_of
from typed_sessions.core.lifecycle import (
    Delete,
    HeaderChanges,
    Keep,
    Write,
    action_of,
    end,
    is_kept,
    is_valid,
    refresh_is_due,
    save,
)
from typed_sessions.core.loading import RequestContext, adopted
from typed_sessions.core.predecessors import Claim, Inheritance, succession_of
from typed_sessions.core.rules import Format, Rules
from typed_sessions.core.session import STREAMING, state_of
from typed_sessions.core.session_request import is_left_alone, note_saved, session_from, session_of_request
from typed_sessions.core.settings import read_settings
from typed_sessions.reports import (
    ChangeLost,
    CookieOversize,
    FieldReset,
    Reason,
    Refused,
    Report,
    UndeclaredKeys,
    UndeclaredNestedKeys,
)
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers import MsgspecJSONSerializer, TaggedJSONSerializer

NOW = 1_800_000_000
PERMANENT = b'{"_permanent":true}'

S = TypeVar("S")


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@define
class Guarded:
    one: Annotated[int, Essential] = 0
    two: Annotated[int, Essential] = 0


class Counting(SignedSealer):
    """A sealer that counts what it opens."""

    opened = 0

    def open(self, text: str) -> tuple[bytes, int] | Refused:  # type: ignore[explicit-override]  # a base class of the library's
        self.opened += 1
        return super().open(text)


def sealer(at: int = NOW, key: str = "k" * 16) -> Counting:
    return Counting(
        SecretKeys(key),
        salt="cookie-session",
        lifetime=timedelta(seconds=1000),
        leeway=timedelta(seconds=30),
        clock=lambda: at,
    )


@define
class Adapter:
    """An adapter whose requests are the values of their session cookie, and that keeps the reports."""

    reports: list[Report] = Factory(list[Report])

    def cookie_values(self, request: tuple[str, ...], _: str, /) -> tuple[str, ...]:
        return request

    def report(self, _: object, report: Report, /) -> None:
        self.reports.append(report)

    def report_lossy(self, _: object, keys: tuple[str, ...], /) -> None:
        raise AssertionError(keys)

    def should_set_cookie(self, _: object, session: SecureCookieSession[Any], /) -> bool:
        raise AssertionError(session)

    def get_expiration_time(self, _: object, session: SecureCookieSession[Any], /) -> datetime | None:
        raise AssertionError(session)

    def cookie_attributes(self, app: object, /) -> CookieAttributes:
        raise AssertionError(app)


def made(at: int = NOW, key: str = "k" * 16, **settings: object) -> Rules[Visitor]:
    """The rules of an application with these settings, and one format."""
    schema, read = Schema(Visitor), read_settings({"SESSION_REFRESH_AFTER": 100, **settings})
    return Rules(
        adapter=Adapter(),
        schema=schema,
        formats=(Format(Codec(schema, TaggedJSONSerializer()), sealer(at, key)),),
        settings=read,
        refresh_after=read.refresh_after or timedelta(),
        clock=lambda: at,
        is_stock=True,
    )


def opened(texts: list[str], rules: Rules[S], reports: list[Report] | None = None) -> SecureCookieSession[S]:
    heard = evolve(rules, adapter=Adapter([] if reports is None else reports))
    return session_from(RequestContext(heard, None, tuple(texts)), SecureCookieSession[S])


def sealed(payload: bytes = b'{"user_id":7}', at: int = NOW) -> str:
    return sealer(at).seal(payload)


def test_a_session_that_nobody_touches_is_not_even_verified() -> None:
    rules = made()
    session = opened([sealed()], rules)
    assert action_of(session, rules, wanted=refresh_is_due(session, rules)) == Keep()
    counting = rules.formats[0].sealer
    assert isinstance(counting, Counting)
    assert counting.opened == 0


def test_a_session_is_verified_once_however_often_it_is_used() -> None:
    rules = made()
    session = opened([sealed()], rules)
    assert [session["user_id"], session.data.user_id, session.get("user_id")] == [7, 7, 7]
    counting = rules.formats[0].sealer
    assert isinstance(counting, Counting)
    assert counting.opened == 1


def test_an_unchanged_session_is_kept() -> None:
    rules = made()
    session = opened([sealed()], rules)
    assert session["user_id"] == 7
    assert action_of(session, rules, wanted=False) == Keep()


def test_a_changed_session_is_written() -> None:
    rules = made()
    session = opened([sealed()], rules)
    session.data.cart.append("a")
    assert action_of(session, rules, wanted=True) == Write(sealed(b'{"user_id":7,"cart":["a"]}'))


def test_an_emptied_session_is_deleted_with_its_version() -> None:
    @define
    class Stepped:
        user_id: int | None = None

    migration(Stepped, 1)(lambda values: values)
    rules = made_of(Stepped, TaggedJSONSerializer())
    session = opened([rules.formats[0].sealer.seal(b'{"user_id":7,"_version":1}')], rules)
    session.data.user_id = None
    assert action_of(session, rules, wanted=True) == Delete()


def test_an_emptied_session_is_deleted() -> None:
    rules = made()
    session = opened([sealed()], rules)
    session.clear()
    assert action_of(session, rules, wanted=True) == Delete()


def test_an_empty_session_that_came_empty_is_kept() -> None:
    rules = made()
    session = opened([], rules)
    session.clear()
    assert action_of(session, rules, wanted=False) == Keep()


@pytest.mark.parametrize(("wanted", "decision"), [(True, Write), (False, Keep)])
def test_what_holds_something_is_written_only_if_wanted(wanted: bool, decision: type[object]) -> None:
    rules = made()
    session = opened([sealed()], rules)
    session["user_id"] = 8
    assert isinstance(action_of(session, rules, wanted=wanted), decision)


def test_an_asserted_change_writes_and_a_denied_one_does_not() -> None:
    rules = made()
    asserted, denied = opened([sealed()], rules), opened([sealed()], rules)
    asserted.modified = True
    denied["user_id"] = 8
    denied.modified = False
    assert action_of(asserted, rules, wanted=asserted.modified) == Write(sealed())
    assert action_of(denied, rules, wanted=denied.modified) == Keep()


def test_what_was_written_to_find_changes_says_what_does_not_come_back() -> None:
    rules = made_of(Visitor, json)
    session = opened([rules.formats[0].sealer.seal(b'{"user_id":7}')], rules)
    session["pair"] = (1, 2)
    decision = action_of(session, rules, wanted=True)
    assert isinstance(decision, Write)
    assert decision.lossy_keys == ("pair",)


def untouched(text: str, rules: Rules[Visitor]) -> SecureCookieSession[Visitor]:
    return session_of_request(rules, None, (text,), SecureCookieSession[Visitor])


TOUCHES: dict[str, Callable[[Any], object]] = {
    "opened": lambda session: state_of(session).open(),
    "flag-assigned": lambda session: setattr(session, "modified", False),
    "access-assigned": lambda session: setattr(session, "accessed", True),
    "read": lambda session: session.get("user_id"),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_a_session_is_left_alone_until_anybody_opens_it_or_sets_its_flags(touch: Callable[[Any], object]) -> None:
    session = untouched(sealed(), made())
    assert is_left_alone(session)
    touch(session)
    assert not is_left_alone(session)


@pytest.mark.parametrize(
    ("age", "refresh", "left_alone"),
    [
        pytest.param(100, True, False, id="old-enough"),
        pytest.param(99, True, True, id="too-young"),
        pytest.param(100, False, True, id="switched-off"),
    ],
)
def test_a_session_is_looked_at_if_its_cookie_says_that_a_refresh_is_due(
    age: int, refresh: bool, left_alone: bool
) -> None:
    session = untouched(sealed(at=NOW - age), made(SESSION_REFRESH_EACH_REQUEST=refresh))
    assert is_left_alone(session) is left_alone


def test_a_session_that_a_program_made_is_not_left_alone() -> None:
    assert not is_left_alone(SecureCookieSession())


def test_what_a_browser_has_to_be_told_is_in_the_header_changes() -> None:
    rules = made()
    session = untouched(sealed(), rules)
    assert session["user_id"] == 7
    assert save(session, rules, None, streams=False) == HeaderChanges()
    session = untouched(sealed(), rules)
    session["user_id"] = 8
    changes = save(session, rules, None, streams=False)
    written = sealed(b'{"user_id":8}')
    assert changes == HeaderChanges(set_cookie=(f"session={written}; HttpOnly; Path=/",))
    assert repr(changes) == "HeaderChanges(vary=True, 1 cookies)"  # and no text of one


def stays(_: SecureCookieSession[Any]) -> object:
    return None


def change(session: SecureCookieSession[Any]) -> object:
    session["user_id"] = 8
    return None


@pytest.mark.parametrize(
    ("texts", "act", "value", "vary"),
    [
        pytest.param([sealed()], stays, None, False, id="untouched"),
        pytest.param([sealed()], dict, None, True, id="read"),
        pytest.param([sealed()], change, sealed(b'{"user_id":8}'), True, id="changed"),
        pytest.param([sealed()], SecureCookieSession.clear, "", True, id="emptied"),
        pytest.param(["x"], SecureCookieSession.clear, "", True, id="emptied, and refused"),
        pytest.param([], change, sealed(b'{"user_id":8}'), True, id="begun"),
        pytest.param([], SecureCookieSession.clear, None, True, id="nothing"),
    ],
)
def test_what_is_saved_is_kept_and_what_comes_after_is_lost(
    texts: list[str], act: Callable[[Any], object], value: str | None, vary: bool
) -> None:
    reports: list[Report] = []
    rules = made()
    session = opened(texts, rules, reports)
    act(session)
    changes = save(session, rules, None, streams=False)
    assert [text.partition(";")[0] for text in changes.set_cookie] == ([] if value is None else [f"session={value}"])
    assert changes.vary is vary
    assert is_kept(session, rules, None, answers=False)
    assert ChangeLost not in map(type, reports)
    session["user_id"] = 9
    assert not is_kept(session, rules, None, answers=False)
    assert [type(report) for report in reports].count(ChangeLost) == 1


def test_a_refresh_that_is_too_large_leaves_the_cookie_as_old_as_it_was() -> None:
    reports: list[Report] = []
    rules, later = made(MAX_COOKIE_SIZE=10), made(NOW + 200)
    session = opened([sealed(PERMANENT, NOW - 900)], rules, reports)
    assert save(session, rules, None, streams=False) == HeaderChanges(vary=False)
    size = len(made().cookie.written(sealed(PERMANENT), NOW + rules.lifetime_seconds))
    assert rules.adapter == Adapter([CookieOversize(size, 10, sent=False)])
    session = opened([sealed(PERMANENT, NOW - 900)], rules, reports)
    assert session.permanent
    assert save(session, rules, None, streams=False) == HeaderChanges(vary=True)
    assert is_kept(session, rules, None, answers=False)
    assert not is_kept(session, later, None, answers=False)


def test_a_session_lives_as_long_as_the_cookie_that_it_was_given_last() -> None:
    session = opened([sealed(at=NOW - 900)], made())
    change(session)
    save(session, made(), None, streams=False)
    assert is_valid(session, made(NOW + 1000))
    assert not is_valid(session, made(NOW + 1001))
    assert not is_valid(session, made(key="another key"))
    session["odd"] = object()
    with pytest.raises(SerializationError):
        save(session, made(), None, streams=False)
    assert is_valid(session, made(NOW + 100))
    assert not is_valid(session, made(NOW + 101))


def test_a_session_ends_with_its_absolute_lifetime_however_young_its_cookie() -> None:
    limited = made(SESSION_ABSOLUTE_LIFETIME=60)
    session = opened([], limited)
    change(session)
    written = f'{{"user_id":8,"_created":{NOW}}}'.encode()
    assert f"session={sealed(written)};" in save(session, limited, None, streams=False).set_cookie[0]
    assert is_valid(session, limited)
    assert is_valid(session, made(NOW + 59, SESSION_ABSOLUTE_LIFETIME=60))
    assert not is_valid(session, made(NOW + 60, SESSION_ABSOLUTE_LIFETIME=60))
    assert is_valid(session, made(NOW + 60))


@pytest.mark.parametrize(("after", "due"), [(0, True), (100, False)])
def test_what_a_program_made_is_refreshed_only_where_each_request_refreshes(after: int, due: bool) -> None:
    rules = made(SESSION_REFRESH_AFTER=after)
    session = SecureCookieSession({"_permanent": True, "user_id": 7}, schema=rules.schema)
    assert refresh_is_due(session, rules) is due
    begun = SecureCookieSession(schema=rules.schema)
    begun.permanent = True
    assert not refresh_is_due(begun, rules)


def test_a_refresh_is_written_without_being_asked_for() -> None:
    text = sealed(PERMANENT, NOW - 100)
    assert action_of(opened([text], made()), made()) == Write(sealed(PERMANENT), refresh=True)
    assert action_of(opened([text], made()), made(SESSION_REFRESH_EACH_REQUEST=False)) == Keep()


def test_what_is_begun_and_denied_is_written_where_that_is_wanted() -> None:
    session = opened([], made())
    change(session)
    session.modified = False
    assert action_of(session, made(), wanted=True) == Write(sealed(b'{"user_id":8}'))


def test_without_a_key_a_change_cannot_be_written() -> None:
    session = opened([sealed()], made())
    change(session)
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        save(session, evolve(made(), formats=()), None, streams=False)


@pytest.mark.parametrize("streams", [False, True])
def test_whoever_streams_is_known_from_the_save_on(streams: bool) -> None:
    def known() -> bool:
        session = opened([sealed()], made())
        save(session, made(), None, streams=streams)
        return STREAMING.get() is session

    STREAMING.set(None)
    assert copy_context().run(known) is streams


def test_of_rivals_all_are_deleted_before_the_own_cookie_is_written() -> None:
    rules = made(SESSION_COOKIE_PATH="/shop")
    session = opened([sealed(), sealed(at=NOW - 1)], rules)
    assert save(session, rules, None, streams=False).set_cookie == ()
    session = opened([sealed(), sealed(at=NOW - 1)], rules)
    session.clear()
    changes = save(session, rules, None, streams=False)
    assert [text.rpartition("=")[2] for text in changes.set_cookie] == ["/", "/shop"]


@pytest.mark.parametrize(
    ("payload", "act", "expected"),
    [
        pytest.param(None, stays, None, id="untouched"),
        pytest.param(None, change, b'{"_permanent":true,"user_id":8}', id="begun"),
        pytest.param(None, lambda each: setattr(each, "permanent", True), None, id="begun with nothing"),
        pytest.param(None, lambda each: setattr(each, "permanent", False), b'{"_permanent":false}', id="begun with no"),
        pytest.param(b'{"user_id":7}', change, b'{"user_id":8}', id="changed"),
        pytest.param(b'{"user_id":7}', stays, None, id="untouched that came"),
        pytest.param(PERMANENT, dict, None, id="the flag alone, read"),
        pytest.param(
            b'{"_permanent":true,"user_id":7}', lambda each: each.pop("user_id"), b"", id="left with the flag"
        ),
        pytest.param(
            b'{"user_id":7}',
            lambda each: (each.clear(), change(each)),
            PERMANENT[:-1] + b',"user_id":8}',
            id="begun anew",
        ),
    ],
)
def test_the_first_content_makes_a_session_permanent_and_the_last_one_takes_that_along(
    payload: bytes | None, act: Callable[[Any], object], expected: bytes | None
) -> None:
    rules = evolve(made(), makes_permanent=True)
    session = opened([] if payload is None else [sealed(payload)], rules)
    act(session)
    texts = [text.partition(";")[0] for text in save(session, rules, None, streams=False).set_cookie]
    assert texts == ([] if expected is None else [f"session={sealed(expected) if expected else ''}"])


class Always(SecureCookieSession[Visitor]):
    """A session of a user's class, which is always permanent."""

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def permanent(self) -> bool:
        return True

    @permanent.setter
    def permanent(self, value: bool) -> None: ...


def test_a_permanent_session_is_written_with_its_end() -> None:
    rules = made(PERMANENT_SESSION_LIFETIME=1000)
    end = f"Expires={format_datetime(moment(1000), usegmt=True)}"
    for permanent in (False, True):
        session = opened([], rules)
        session["user_id"] = 8
        session.permanent = permanent
        assert (end in save(session, rules, None, streams=False).set_cookie[0]) is permanent
    always = session_from(RequestContext(rules, None, ()), Always)
    always["user_id"] = 8
    assert end in save(always, rules, None, streams=False).set_cookie[0]


def test_a_cookie_may_be_as_large_as_browsers_take_and_no_larger() -> None:
    def written(most: int, on_oversize: str = "raise") -> list[Report]:
        adapter = Adapter()
        rules = evolve(made(MAX_COOKIE_SIZE=most, SESSION_ON_OVERSIZE=on_oversize), adapter=adapter)
        session = session_from(RequestContext(rules, None, ()), SecureCookieSession[Visitor])
        session["user_id"] = 8
        assert len(save(session, rules, None, streams=False).set_cookie) == 1
        return adapter.reports

    size = len("session=; HttpOnly; Path=/") + len(sealed(b'{"user_id":8}'))
    assert written(size) == []
    with pytest.raises(CookieTooLargeError):
        written(size - 1)
    assert written(size - 1, "warn") == [CookieOversize(size, size - 1, sent=True)]


def test_what_will_read_back_otherwise_is_said_once_it_is_written() -> None:
    class Told(Adapter):
        @override
        def report_lossy(self, _: object, keys: tuple[str, ...], /) -> None:
            lossy.append(keys)

    lossy: list[tuple[str, ...]] = []
    rules = evolve(made_of(Visitor, json), adapter=Told())
    session = session_from(RequestContext(rules, None, ()), SecureCookieSession[Visitor])
    session.update(user_id=7, pair=(1, 2))
    save(session, rules, None, streams=False)
    assert lossy == [("pair",)]


@define
class Overriding(Adapter):
    """An adapter of whose methods one was overridden, and fails."""

    asked: int = 0

    @override
    def should_set_cookie(self, _: object, session: SecureCookieSession[Any], /) -> bool:
        self.asked += 1
        assert not state_of(session).has_failed
        raise ZeroDivisionError


def test_an_overridden_method_that_fails_is_not_asked_again() -> None:
    adapter = Overriding()
    rules = evolve(made(), adapter=adapter, is_stock=False)
    session = opened([], rules)
    with pytest.raises(ZeroDivisionError):
        save(session, rules, None, streams=False)
    assert save(session, rules, None, streams=False) == HeaderChanges(vary=False)
    assert adapter.asked == 1


def test_what_is_to_be_done_is_a_value_that_shows_no_text_of_a_cookie() -> None:
    assert repr(Write("text", ("pair",))) == "Write(refresh=False, lossy_keys=('pair',))"
    assert len({Keep(), Delete(), Write("text"), HeaderChanges(("text",)), Keep(), HeaderChanges(("text",))}) == 4


def test_a_save_that_failed_is_not_tried_again() -> None:
    rules = made()
    for used in (False, True):
        session = opened([], rules)
        session["extra"] = object()
        with pytest.raises(SerializationError):
            save(session, rules, None, streams=False)
        assert (state_of(session).has_failed, state_of(session).awaits_response) == (True, True)
        session.accessed = used
        assert save(session, rules, None, streams=False) == HeaderChanges(vary=used)
        assert (state_of(session).has_failed, state_of(session).awaits_response) == (True, False)


class NamedAlike:
    """A format that shares the key of another, and reads some of what that one writes, but not all."""

    name = "alike"

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value)

    def loads(self, payload: str, /) -> object:
        return {key: 7 if value == "seven" else value for key, value in json.loads(payload).items()}


def alike(*serializers: Any) -> Rules[Visitor]:
    """Rules whose formats all sign in one way."""
    schema = Schema(Visitor)
    formats = tuple(Format(Codec(schema, serializer), sealer()) for serializer in serializers)
    return evolve(made(), schema=schema, formats=formats)


def test_of_formats_that_sign_alike_the_one_that_reads_all_goes_first() -> None:
    text = sealed(b'{"user_id":"seven"}')
    for serializers in ((TaggedJSONSerializer(), NamedAlike()), (NamedAlike(), TaggedJSONSerializer())):
        reports: list[Report] = []
        session = opened([text], alike(*serializers), reports)
        assert (session.data.user_id, reports) == (7, [])


def test_of_formats_that_all_misread_the_first_counts() -> None:
    reports: list[Report] = []
    session = opened([sealed(b'{"user_id":"x","cart":["a"]}')], alike(TaggedJSONSerializer(), NamedAlike()), reports)
    assert session.data == Visitor(None, ["a"])
    assert [type(report) for report in reports] == [FieldReset]
    snapshot = state_of(session).open().snapshot
    assert snapshot is not None
    assert isinstance(snapshot.codec.serializer, TaggedJSONSerializer)


def test_keys_that_a_nested_class_does_not_know_are_no_misreading() -> None:
    rules = made_of(Nested, TaggedJSONSerializer(), json)
    session = opened([rules.formats[0].sealer.seal(b'{"held":{"one":1,"two":2}}')], rules)
    assert session.data == Nested(Guarded(1, 2))


def test_a_misreading_is_one_whatever_else_is_said() -> None:
    schema: Schema[Any] = Schema(Nested)
    formats = tuple(Format(Codec(schema, each), sealer()) for each in (TaggedJSONSerializer(), NamedAlike()))
    rules: Rules[Any] = made()
    rules = evolve(rules, schema=schema, formats=formats)
    reports: list[Report] = []
    text = sealed(b'{"user_id":"seven","held":{"one":1,"two":2,"three":3}}')
    session = opened([text], rules, reports)
    assert session.data == Nested(Guarded(1, 2), 7)
    assert [type(report) for report in reports] == [UndeclaredNestedKeys]


@define
class Nested:
    held: Guarded | None = None
    user_id: int | None = None


def test_two_cookies_alike_are_tried_once() -> None:
    rules = made()
    text = sealed(b"[]")
    session = opened([text, text], rules)
    assert session.new
    counting = rules.formats[0].sealer
    assert isinstance(counting, Counting)
    assert counting.opened == 1


def test_contents_that_would_not_come_back_are_never_written() -> None:
    rules = made()
    session = opened([sealed()], rules)
    session.data.user_id = "7"  # type: ignore[assignment]  # the misuse
    with pytest.raises(SerializationError, match="user_id"):
        action_of(session, rules, wanted=True)


@pytest.mark.parametrize(
    ("payload", "age", "refresh", "due"),
    [
        pytest.param(PERMANENT, 100, True, True, id="old-enough"),
        pytest.param(PERMANENT, 99, True, False, id="too-young"),
        pytest.param(PERMANENT, 100, False, False, id="switched-off"),
        pytest.param(PERMANENT, 1001, True, False, id="expired"),
        pytest.param(b'{"_permanent":false}', 100, True, False, id="not-permanent"),
        pytest.param(b"{}", 100, True, False, id="empty"),
    ],
)
def test_a_refresh_is_due(payload: bytes, age: int, refresh: bool, due: bool) -> None:
    rules = made(NOW, SESSION_REFRESH_EACH_REQUEST=refresh)
    session = opened([sealed(payload, NOW - age)], rules)
    assert refresh_is_due(session, rules) is due
    assert not session.accessed


def test_a_refresh_seals_the_payload_as_it_came() -> None:
    odd = b'{ "_permanent": true, "user_id": "no number" }'
    rules = made(NOW)
    session = opened([sealed(odd, NOW - 500)], rules)
    assert action_of(session, rules, wanted=True) == Write(sealed(odd), refresh=True)


def test_a_new_session_is_never_refreshed() -> None:
    assert not refresh_is_due(opened([], made()), made())


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        pytest.param(["x"], Reason.MALFORMED, id="malformed"),
        pytest.param([sealed(at=NOW - 1001)], Reason.EXPIRED, id="expired"),
        pytest.param([sealed(b"[]")], Reason.SHAPE, id="shape"),
        pytest.param(["x", sealed(b"[]"), "a.b.c"], Reason.SHAPE, id="the-furthest-of-several"),
    ],
)
def test_refused_texts_give_a_new_session_and_one_report(texts: list[str], reason: Reason) -> None:
    reports: list[Report] = []
    rules = made()
    session = opened(texts, rules, reports)
    assert reports == []
    assert session.new
    assert not session
    assert reports == [Refused(reason)]
    assert action_of(session, rules, wanted=False) == Keep()


def test_a_request_without_a_session_cookie_has_nothing_to_report() -> None:
    reports: list[Report] = []
    assert opened([], made(), reports).new
    assert reports == []


@pytest.mark.parametrize(
    ("texts", "rivals"),
    [([sealed()], False), ([sealed(), "x"], False), ([sealed(), sealed(at=NOW - 1)], True)],
    ids=["alone", "beside junk", "beside another"],
)
def test_only_what_is_genuine_is_a_rival(texts: list[str], rivals: bool) -> None:
    context = RequestContext(made(), None, tuple(texts))
    context.open()
    assert context.has_rivals is rivals


def test_of_what_several_formats_refuse_the_furthest_is_reported_and_of_these_the_first() -> None:
    rules = made_of(Guarded, NamedAlike(), TaggedJSONSerializer())
    text = rules.formats[1].sealer.seal(b"[]")
    alike = tuple(evolve(each, sealer=rules.formats[1].sealer) for each in rules.formats)
    cases = [
        (rules.formats, text, Refused(Reason.SHAPE)),
        (rules.formats[::-1], text, Refused(Reason.SHAPE)),
        (alike[::-1], alike[0].sealer.seal(b'{"one":"seven","two":"x"}'), Refused(Reason.FIELD, "one")),
        (alike, alike[0].sealer.seal(b'{"one":"seven","two":"x"}'), Refused(Reason.FIELD, "two")),
    ]
    for formats, each, refused in cases:
        reports: list[Report] = []
        assert opened([each], evolve(rules, formats=formats), reports).new
        assert reports == [refused]


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


@frozen
class Theirs:
    """Another library, all of whose texts lead to the same."""

    values: dict[str, object] = Factory(lambda: {"user_id": 8})
    before: datetime = Factory(lambda: moment(0))
    lifetime: timedelta = timedelta(days=1)
    needs_store: bool = False

    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        return values_of("another cookie") + tuple(each for each in values_of(own_name) if each == "theirs")

    def mark(self, text: str) -> str:
        return text

    def load(self, _text: str, _now: datetime) -> Inheritance:
        return Inheritance(self.values, moment(-50))

    def end(self, _text: str) -> None:
        raise AssertionError


def adopting(theirs: Theirs, schema: Any = Visitor, *, in_cookies: bool = True, **settings: Any) -> Rules[Any]:
    rules = made_of(schema, MsgspecJSONSerializer(), **settings)
    return evolve(rules, succession=succession_of((theirs,), rules.schema, 65_536, in_cookies=in_cookies))


def test_what_another_library_has_written_is_ours_if_nothing_of_ours_came() -> None:
    rules = adopting(Theirs())
    adopted_one = opened(["x", "theirs"], rules)
    assert (adopted_one.data, adopted_one.new) == (Visitor(8), False)
    assert isinstance(action_of(adopted_one, rules), Write)
    assert state_of(adopted_one).open().sealed == "theirs"
    assert opened([sealed_by(rules, b'{"user_id":7}'), "theirs"], rules).data == Visitor(7)
    assert opened(["theirs"], adopting(Theirs(), in_cookies=False)).new
    with_limit = adopting(Theirs(), SESSION_ABSOLUTE_LIFETIME=60)
    assert not is_valid(opened(["theirs"], with_limit), with_limit)  # it says no time of ours


@pytest.mark.parametrize(
    ("values", "age", "schema", "outcome"),
    [
        pytest.param({"user_id": 8}, 1, Visitor, (8, ()), id="written before"),
        pytest.param({"user_id": 8}, 0, Visitor, None, id="written when it ended"),
        pytest.param({"user_id": 8}, 60, Visitor, (8, ()), id="written when it began"),
        pytest.param({"user_id": 8}, 61, Visitor, Refused(Reason.ENDED), id="too old"),
        pytest.param({"user_id": 8, "theme": 1}, 1, Visitor, (8, (UndeclaredKeys(1),)), id="undeclared"),
        pytest.param({"one": "x"}, 1, Guarded, Refused(Reason.FIELD, "one"), id="an essential field"),
        pytest.param({"theme": float("nan")}, 1, Visitor, Refused(Reason.UNREADABLE), id="nothing for the format"),
    ],
)
def test_what_another_library_has_written_is_adopted_or_refused(
    values: dict[str, object], age: int, schema: Any, outcome: tuple[int, tuple[Report, ...]] | Refused | None
) -> None:
    rules = adopting(Theirs(), schema, SESSION_EXTRAS=frozenset[str](), SESSION_NOT_BEFORE=moment(-60))
    found = adopted(Claim(Theirs(), "theirs"), Inheritance(values, moment(-age)), rules)
    assert (
        found and (found if isinstance(found, Refused) else (found.contents.data.user_id, found.reports))
    ) == outcome


def test_a_refused_cookie_is_replaced_once_there_is_something_to_write() -> None:
    rules = made()
    session = opened(["x"], rules)
    session["user_id"] = 8
    assert isinstance(action_of(session, rules, wanted=True), Write)


def test_a_format_that_only_reads_is_not_written_until_the_next_change() -> None:
    schema = Schema(Visitor)
    old, new = made().formats[0], Format(Codec(schema, TaggedJSONSerializer()), sealer(NOW, "n" * 16))
    both = evolve(made(), formats=(new, old))
    session = opened([sealed()], both)
    assert session["user_id"] == 7
    assert not session.modified
    session["user_id"] = 8
    assert action_of(session, both, wanted=True) == Write(new.sealer.seal(b'{"user_id":8}'))


def test_the_time_on_a_cookie_is_read_without_a_key() -> None:
    moment = made().sealed_at(sealed(at=NOW - 5))
    assert moment is not None
    assert moment.timestamp() == NOW - 5


def test_the_first_twenty_cookies_are_tried() -> None:
    junk = [f"junk.{number}.junk" for number in range(20)]
    assert not opened([*junk[:19], sealed()], made()).new
    assert opened([*junk, sealed()], made()).new
    assert not opened([*junk[:1] * 30, sealed()], made()).new


def test_a_session_holds_the_cookies_as_they_came() -> None:
    texts = [sealed()]
    session = opened(texts, made())
    texts.clear()
    assert state_of(session).source.sealed == (sealed(),)
    assert session["user_id"] == 7
    assert not session.new


@pytest.mark.parametrize(
    ("texts", "due"),
    [
        pytest.param([sealed(PERMANENT, NOW - 100), "x"], True, id="old-beside-junk"),
        pytest.param(["x.AAAA.x", sealed(PERMANENT, NOW - 99)], False, id="young-beside-old-junk"),
    ],
)
def test_the_age_of_the_genuine_cookie_counts_for_a_refresh(texts: list[str], due: bool) -> None:
    session = opened(texts, made())
    assert refresh_is_due(session, made()) is due


def test_an_emptied_session_is_deleted_also_if_no_write_is_wanted() -> None:
    session = opened([sealed()], made())
    session.clear()
    assert action_of(session, made(), wanted=False) == Delete()


def test_a_session_that_is_emptied_and_filled_as_it_was_is_kept() -> None:
    session = opened([sealed()], made())
    session.clear()
    session["user_id"] = 7
    assert action_of(session, made(), wanted=False) == Keep()
    assert not session.modified


def test_a_refused_cookie_is_deleted_by_a_log_out() -> None:
    session = opened(["x"], made())
    session.clear()
    assert action_of(session, made(), wanted=False) == Delete()


def test_a_session_that_is_and_was_empty_is_kept_even_if_a_write_is_wanted() -> None:
    assert action_of(opened([], made()), made(), wanted=True) == Keep()


@define
class Numbered:
    name: str = ""


@migration(Numbered, 1)
def no_change(values: dict[str, object]) -> dict[str, object]:
    return values


def made_of(schema: Any, *serializers: Any, **settings: Any) -> Rules[Any]:
    """Rules by which each serializer signs with a key of its own."""
    declared: Schema[Any] = Schema(schema)
    formats = tuple(Format(Codec(declared, each), sealer(NOW, f"key of {type(each).__name__}")) for each in serializers)
    return evolve(made(**settings), schema=declared, formats=formats)


def test_a_session_of_a_format_that_is_no_longer_read_is_written_in_the_present_one_with_its_version() -> None:
    before, after = made_of(Numbered, TaggedJSONSerializer()), made_of(Numbered, MsgspecJSONSerializer())
    text = before.formats[0].sealer.seal(b'{"name":"a","_version":7}')
    session = opened([text], before)
    assert session["name"] == "a"
    written = after.formats[0].sealer.seal(b'{"name":"a","_version":7}')
    assert action_of(session, after, wanted=True) == Write(written)


def test_a_refresh_keeps_the_format_that_the_session_came_in() -> None:
    rules = made_of(Visitor, TaggedJSONSerializer(), MsgspecJSONSerializer())
    came_in = rules.formats[1].sealer
    session = opened([came_in.seal(PERMANENT)], rules)
    assert action_of(session, rules, wanted=True) == Write(came_in.seal(PERMANENT), refresh=True)


def test_what_the_configured_format_cannot_hold_is_written_in_the_format_that_it_came_in() -> None:
    rules = made_of(Visitor, json, TaggedJSONSerializer())
    came_in = rules.formats[1].sealer
    text = came_in.seal(b'{"key":{" u":"00000000000000000000000000000001"}}')
    session = opened([text], rules)
    assert session["key"] == UUID(int=1)
    session["user_id"] = 8
    written = came_in.seal(b'{"key":{" u":"00000000000000000000000000000001"},"user_id":8}')
    assert action_of(session, rules, wanted=True) == Write(written)


def test_a_write_names_the_undeclared_keys_that_will_read_back_as_others() -> None:
    rules = made_of(Visitor, json)
    session = opened([], rules)
    session.update(user_id=7, pair=(1, 2))
    written = sealed_by(rules, b'{"user_id": 7, "pair": [1, 2]}')
    assert action_of(session, rules, wanted=True) == Write(written, lossy_keys=("pair",))


def test_what_no_format_can_hold_is_tried_once_in_the_format_that_it_came_in() -> None:
    written: list[object] = []

    class Noting(TaggedJSONSerializer):
        @override
        def dumps(self, value: object, /) -> str:
            written.append(value)
            return super().dumps(value)

    rules = made_of(Visitor, Noting())
    session = opened([rules.formats[0].sealer.seal(b'{"user_id":7}')], rules)
    session["user_id"], session["extra"] = 8, object()
    assert session.modified
    written.clear()
    with pytest.raises(SerializationError):
        rules.writer.codec.write_stored(session.copy())
    alone = len(written)
    session.modified = True
    written.clear()
    with pytest.raises(SerializationError):
        action_of(session, rules, wanted=True)
    assert len(written) == 2 * alone  # to find changes, and to write


def test_of_refusals_that_came_equally_far_the_first_is_reported() -> None:
    reports: list[Report] = []
    rules = made_of(Guarded, TaggedJSONSerializer())
    texts = [sealed_by(rules, payload) for payload in (b'{"two":"x"}', b'{"one":"x"}')]
    assert opened(texts, rules, reports).new
    assert reports == [Refused(Reason.FIELD, "two")]


def sealed_by(rules: Rules[Any], payload: bytes) -> str:
    return rules.writer.sealer.seal(payload)


@define
class Item:
    sku: str = ""


@define
class Basket:
    count: int = 0
    items: list[Item] = Factory(list[Item])


@pytest.mark.parametrize(
    ("extras", "payload", "expected"),
    [
        pytest.param(None, b'{"a":1,"b":2}', [], id="every-key-allowed"),
        pytest.param(frozenset({"a"}), b'{"count":1,"a":1,"_x":1}', [], id="allowed-keys-only"),
        pytest.param(frozenset({"a"}), b'{"count":1,"a":1,"_x":1,"b":1,"c":1}', [UndeclaredKeys(2)], id="two-others"),
        pytest.param(
            frozenset[str](),
            b'{"count":"x","items":[{"sku":"a","size":1}],"b":1}',
            [FieldReset("count", "int"), UndeclaredNestedKeys("Item", 1), UndeclaredKeys(1)],
            id="beside-other-reports",
        ),
    ],
)
def test_undeclared_keys_that_are_not_allowed_are_counted(
    extras: frozenset[str] | None, payload: bytes, expected: list[Report]
) -> None:
    reports: list[Report] = []
    rules = made_of(Basket, TaggedJSONSerializer(), SESSION_EXTRAS="keep" if extras is None else extras)
    session = opened([sealed_by(rules, payload)], rules, reports)
    assert not session.new
    assert reports == expected


def test_a_change_after_the_save_is_lost_and_said() -> None:
    reports: list[Report] = []
    session = opened([], made(), reports)
    note_saved(session, streams=not session.accessed)
    session["user_id"] = 7
    assert ChangeLost in map(type, reports)


def test_what_came_in_no_format_and_cannot_be_written_is_refused_by_its_name() -> None:
    with pytest.raises(SerializationError, match="session field user_id"):
        made().encode(contents_of(made().schema, {"user_id": "seven"}), None, 0)


@define
class Overridden(Adapter):
    """An adapter whose `should_set_cookie` is a user's."""

    wants: bool = True

    @override
    def should_set_cookie(self, _: object, session: SecureCookieSession[Any], /) -> bool:
        return self.wants

    @override
    def get_expiration_time(self, _: object, session: SecureCookieSession[Any], /) -> datetime | None:
        return None

    @override
    def cookie_attributes(self, app: object, /) -> CookieAttributes:
        return CookieAttributes("session", "/")


class Stamped(Theirs):
    """Another library whose texts have a time where ours have it."""

    @override
    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        return values_of(own_name)


def values_in(changes: HeaderChanges) -> list[str]:
    return [each.partition(";")[0].partition("=")[2] for each in changes.set_cookie]


LIMITED = made(SESSION_ABSOLUTE_LIFETIME=500)
BEFORE = sealed(at=NOW - 9)


@pytest.mark.parametrize(
    ("rules", "text", "act", "created"),
    [
        pytest.param(LIMITED, BEFORE, change, NOW - 9, id="came without the time"),
        pytest.param(LIMITED, BEFORE, lambda each: (each.clear(), change(each)), NOW, id="begun anew"),
        pytest.param(LIMITED, "", lambda each: setattr(each, "permanent", True), NOW, id="permanent alone"),
        pytest.param(LIMITED, "x", stays, None, id="untouched"),
        pytest.param(LIMITED, sealed(b'{"user_id":"x","_created":%d}' % NOW), dict, None, id="all was reset"),
        pytest.param(
            evolve(LIMITED, is_stock=False, adapter=Overridden()), BEFORE, stays, NOW - 9, id="always written"
        ),
        pytest.param(
            adopting(Stamped(), SESSION_ABSOLUTE_LIFETIME=500), BEFORE + "x", dict, NOW, id="another library's"
        ),
    ],
)
def test_what_is_written_says_when_it_was_created(
    rules: Rules[Any], text: str, act: Callable[[Any], object], created: int | None
) -> None:
    reports: list[Report] = []
    rules = evolve(rules, adapter=evolve(cast("Any", rules.adapter), reports=reports))
    session = session_from(RequestContext(rules, None, (text,) if text else ()), SecureCookieSession[Any])
    act(session)
    values = values_in(save(session, rules, None, streams=False))
    assert [opened([each], rules)["_created"] for each in values] == ([] if created is None else [created])
    assert Refused not in map(type, reports)  # what nobody asks for is not even verified


def test_what_a_program_made_was_created_when_it_is_written() -> None:
    rules = evolve(LIMITED, clock=lambda: NOW + 0.5)
    session = SecureCookieSession({"user_id": 7}, schema=rules.schema)
    change(session)
    save(session, rules, None, streams=False)
    assert repr(session["_created"]) == str(NOW)


ACTS = (stays, dict, change, SecureCookieSession.clear)


def test_what_is_said_to_be_kept_before_the_response_is_what_the_browser_has_after_it() -> None:
    for texts, act, assigned, wants in product(([], [sealed()]), ACTS, (None, False), (None, True, False)):
        adapter = Overridden(wants=bool(wants))
        rules = made() if wants is None else evolve(made(), is_stock=False, adapter=adapter)
        session = opened(texts, rules)
        act(session)
        session.modified = cast("Any", assigned)
        kept = is_kept(session, rules, None, answers=True)
        values = values_in(save(session, rules, None, streams=False)) or texts
        assert kept is (dict(opened(values, made())) == dict(session)), (texts, act, assigned, wants)


def test_a_change_that_no_response_will_carry_is_lost_and_says_why() -> None:
    reports: list[Report] = []
    early, late, failed = (opened([sealed()], made(), reports) for _ in range(3))
    change(early)
    assert not is_kept(early, made(), None, answers=False)
    end(late)
    change(late)
    failed["odd"] = object()
    with pytest.raises(SerializationError):
        save(failed, made(), None, streams=False)
    assert not is_kept(failed, made(), None, answers=False)
    for report, words in zip(
        reports, ("a websocket", "after the session was saved", "could not be saved"), strict=True
    ):
        assert words in str(report)
