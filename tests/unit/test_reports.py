"""Reports as log records: their levels, and that they hold nothing of a visitor's."""

from __future__ import annotations

import logging
from typing import get_args

import pytest
from attrs import fields

from typed_sessions.reports import (
    ChangedLate,
    ChangeLost,
    CookieOversize,
    FieldReset,
    ForeignDomain,
    KeyFileUnusable,
    Reason,
    Refused,
    Report,
    SharedCookie,
    ShortSecretKey,
    SingleLabelDomain,
    UndeclaredKeys,
    UndeclaredLossy,
    UndeclaredNestedKeys,
    UnknownSetting,
    UsedLate,
    log_report,
)

EVERYDAY = {
    Reason.MALFORMED,
    Reason.SIGNATURE,
    Reason.EXPIRED,
    Reason.FUTURE,
    Reason.ENDED,
    Reason.UNKNOWN,
    Reason.ADOPTED_BEFORE,
    Reason.REVOKED,
}


def logged(report: Report, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """The one record that a report makes."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "typed_sessions"):
        log_report(report)
    (record,) = caplog.records
    return record


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_a_refused_cookie_is_everyday_unless_it_was_signed(reason: Reason, caplog: pytest.LogCaptureFixture) -> None:
    record = logged(Refused(reason), caplog)
    assert record.levelno == (logging.DEBUG if reason in EVERYDAY else logging.WARNING)
    assert record.getMessage() == f"session cookie refused: {reason.value}"
    assert reason.signed is (reason not in EVERYDAY)


@pytest.mark.parametrize(
    ("report", "level", "text"),
    [
        pytest.param(
            Refused(Reason.FIELD, "tenant_id"),
            logging.WARNING,
            "session cookie refused: a field does not fit the schema, and a session may not be opened without it "
            "(tenant_id)",
            id="an essential field",
        ),
        pytest.param(
            FieldReset("cart", "int", "[2].price"),
            logging.WARNING,
            "session field reset to its default: cart[2].price is not int",
            id="a field reset",
        ),
        pytest.param(
            FieldReset("user_id", "int | None"),
            logging.WARNING,
            "session field reset to its default: user_id is not int | None",
            id="a whole field reset",
        ),
        pytest.param(
            UndeclaredKeys(2),
            logging.WARNING,
            "session brought 2 undeclared key(s), which SESSION_EXTRAS does not allow; kept",
            id="undeclared keys",
        ),
        pytest.param(
            UndeclaredNestedKeys("Item", 3),
            logging.WARNING,
            "session brought 3 key(s) that Item does not declare; a change drops them",
            id="undeclared keys inside a class",
        ),
        pytest.param(
            Refused(Reason.MIGRATION, step="to version 2: KeyError"),
            logging.WARNING,
            "session cookie refused: a migration step cannot take it (to version 2: KeyError)",
            id="a migration that failed",
        ),
        pytest.param(
            ChangeLost("change it before the response"),
            logging.ERROR,
            "a session change is lost: change it before the response",
            id="a change lost",
        ),
        pytest.param(
            CookieOversize(5000, 4093),
            logging.WARNING,
            "session cookie of 5000 bytes sent; browsers may drop it past 4093",
            id="a cookie past the limit",
        ),
        pytest.param(
            CookieOversize(5000, 4093, sent=False),
            logging.WARNING,
            "session cookie of 5000 bytes not refreshed; browsers may drop it past 4093",
            id="a refresh past the limit",
        ),
        pytest.param(
            UsedLate(),
            logging.WARNING,
            "session used after it was saved, so the response has no Vary; use it before the stream begins",
            id="used late",
        ),
        pytest.param(
            SharedCookie(),
            logging.WARNING,
            "a response with a session cookie was for shared caches, which would give the session to others; it was "
            "sent as private",
            id="for shared caches",
        ),
        pytest.param(
            UndeclaredLossy("price"),
            logging.WARNING,
            "session key 'price' will read back as another value; declare a field to keep its type",
            id="lossy",
        ),
        pytest.param(
            UndeclaredLossy(3),  # type: ignore[arg-type]  # nobody keeps an undeclared key from being a number
            logging.WARNING,
            "session key 3 will read back as another value; declare a field to keep its type",
            id="a lossy key",
        ),
        pytest.param(
            ShortSecretKey(3),
            logging.WARNING,
            "a secret key has 3 bytes, and can be guessed; make one with "
            "`python -c 'import secrets; print(secrets.token_hex())'`",
            id="a short key",
        ),
    ],
)
def test_a_report_is_logged(report: Report, level: int, text: str, caplog: pytest.LogCaptureFixture) -> None:
    record = logged(report, caplog)
    assert record.levelno == level
    assert record.getMessage() == text
    assert record.name == "typed_sessions"
    assert record.exc_info is None


def test_a_percent_sign_in_a_report_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    assert "50%d" in logged(FieldReset("50%d", "%s"), caplog).getMessage()


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_everyday_refusals_are_silent_at_the_level_of_operators(
    reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        log_report(Refused(reason))
    assert bool(caplog.records) is (reason not in EVERYDAY)


def test_a_report_has_no_place_for_data() -> None:
    kinds = (
        Refused,
        FieldReset,
        UndeclaredKeys,
        UndeclaredNestedKeys,
        UndeclaredLossy,
        ChangeLost,
        ChangedLate,
        CookieOversize,
        UsedLate,
        SharedCookie,
        ShortSecretKey,
        KeyFileUnusable,
        UnknownSetting,
        SingleLabelDomain,
        ForeignDomain,
    )
    assert set(kinds) == set(get_args(Report))
    assert {kind: {field.name for field in fields(kind)} for kind in kinds} == {
        Refused: {"reason", "field", "step"},
        FieldReset: {"field", "expected", "path"},
        UndeclaredKeys: {"count"},
        UndeclaredNestedKeys: {"owner", "count"},
        ChangeLost: {"remedy"},
        ChangedLate: set(),
        CookieOversize: {"size", "limit", "sent"},
        UndeclaredLossy: {"key"},
        UsedLate: set(),
        SharedCookie: set(),
        ShortSecretKey: {"size"},
        KeyFileUnusable: {"reason"},
        UnknownSetting: {"name", "advice"},
        SingleLabelDomain: set(),
        ForeignDomain: {"domain"},
    }
