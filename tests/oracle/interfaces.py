"""Interfaces and sessions of a user's, with words of their own on what the library does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from typing_extensions import override

from typed_sessions import SecureCookieSession, SecureCookieSessionInterface

__all__ = ["INTERFACES", "OWN_SALT"]

OWN_SALT: Final = "of this shop"


class Noted(SecureCookieSession[Any]):
    """Has attributes, and a look at each value that is set."""

    title = "of the shop"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.keys_set: list[str] = []

    @override
    def __setitem__(self, key: str, value: object) -> None:
        self.keys_set.append(key)
        super().__setitem__(key, value.strip() if type(value) is str else value)


class Lasting(SecureCookieSession[Any]):
    """Permanent, whoever says what, unless it has a certain key."""

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def permanent(self) -> bool:
        return "extra" not in self

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["asked_for"] = value


class Eager(SecureCookieSession[Any]):
    """Modified as soon as it holds anything."""

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def modified(self) -> bool:
        return len(self) > 0

    @modified.setter
    def modified(self, value: bool) -> None:
        pass


class WithNoted(SecureCookieSessionInterface[Any]):
    session_class: type[SecureCookieSession[Any]] = Noted


class WithLasting(SecureCookieSessionInterface[Any]):
    session_class: type[SecureCookieSession[Any]] = Lasting


class WithEager(SecureCookieSessionInterface[Any]):
    session_class: type[SecureCookieSession[Any]] = Eager


class OwnCookies(SecureCookieSessionInterface[Any]):
    """Overrides what a cookie is sent with; some of it looks at the session."""

    @override
    def get_cookie_path(self, app: Any) -> str:
        return "/own"

    @override
    def get_cookie_samesite(self, app: Any) -> str:
        return "Strict"

    @override
    def get_cookie_secure(self, app: Any) -> bool:
        return not super().get_cookie_secure(app)

    @override
    def get_expiration_time(self, app: Any, session: Any) -> datetime | None:
        if "n" in session:
            return datetime.now(UTC) + timedelta(hours=1)
        return super().get_expiration_time(app, session)


class Choosy(SecureCookieSessionInterface[Any]):
    """Writes no session that says so."""

    @override
    def should_set_cookie(self, app: Any, session: Any) -> bool:
        return super().should_set_cookie(app, session) and "extra" not in session


class Always(SecureCookieSessionInterface[Any]):
    """Writes each session."""

    @override
    def should_set_cookie(self, app: Any, session: Any) -> bool:
        return True


class Salted(SecureCookieSessionInterface[Any]):
    """Signs under a salt that is a property."""

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def salt(self) -> str:
        return OWN_SALT

    @salt.setter
    def salt(self, value: str | bytes) -> None:
        raise AssertionError(value)


class Around(SecureCookieSessionInterface[Any]):
    """Does something before a session is saved, and after it was opened."""

    @override
    async def open_session(self, app: Any, request: Any) -> Any:
        session = await super().open_session(app, request)
        if session is not None and session.get("n") == 1:
            session["csrf_token"] = "at the opening"
        return session

    @override
    async def save_session(self, app: Any, session: Any, response: Any) -> None:
        if session.accessed:
            session.pop("_flashes", None)
        await super().save_session(app, session, response)


INTERFACES: Final[Mapping[str, type[SecureCookieSessionInterface[Any]]]] = {
    each.__name__: each for each in (WithNoted, WithLasting, WithEager, OwnCookies, Choosy, Always, Salted, Around)
}
