"""Sessions in templates: `{{ session|tojson }}` is that of a dict."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from typing import Any, Final, cast

from attrs import frozen

from typed_sessions.core.mixin import Session
from typed_sessions.core.session import SecureCookieSession, state_of

__all__ = ["shareable", "teach_tojson"]

_POLICY: Final = "json.dumps_function"
"""Of Jinja: what its filter `tojson` calls. Source: the Jinja documentation, "Policies"."""


def shareable(session: Session[object]) -> dict[str, object]:
    """Return what is stored in a session but for the fields that are marked as `Secret`: a page is for a visitor."""
    stored = session.copy()
    if isinstance(session, SecureCookieSession):
        for name in state_of(session).open().contents.schema.secrets:
            stored.pop(name, None)
    return stored


@frozen
class _Dumps:
    """Writes a session as what is stored in it. All else is left to the function that an application has for that."""

    function: Callable[..., str]

    def __call__(self, value: object, /, **options: Any) -> str:
        return self.function(shareable(value) if isinstance(value, Session) else value, **options)


def teach_tojson(app: object) -> None:
    """Have the templates of an application write sessions, whatever its JSON provider is. Without any, do nothing."""
    environment: object = getattr(app, "jinja_env", None)
    policies: object = getattr(environment, "policies", None)
    if not isinstance(policies, MutableMapping):
        return
    known = cast("MutableMapping[str, Any]", policies)
    function = known.get(_POLICY)
    if not isinstance(function, _Dumps):
        known[_POLICY] = _Dumps(function or json.dumps)
