"""Partial stubs of the frameworks, in which their own `session` is one of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from typed_sessions.tools.stubs.schema_stub import SchemaStub, schema_line

__all__ = ["FRAMEWORKS", "framework_files"]

_HEADER: Final = """\
# mypy: disable-error-code="misc, override"
# pyright: reportIncompatibleMethodOverride=false, reportPrivateUsage=false
# pyright: reportIncompatibleVariableOverride=false
# pyrefly: ignore-errors
"""

# A stub stands for the whole module, so each has all of the framework's module `globals`: Quart 0.20 to 0.22 and
# Flask 3.1. Where its other modules are concerned, it leaves the framework as it is.
_CLASSES: Final[Mapping[str, str]] = {
    "quart": """\
from .app import Quart
from .ctx import AppContext, RequestContext, WebsocketContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request, Websocket
""",
    "flask": """\
from .app import Flask
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request
""",
}
_VARIABLES: Final[Mapping[str, str]] = {
    "quart": """\
_cv_app: ContextVar[AppContext]
_cv_request: ContextVar[RequestContext]
_cv_websocket: ContextVar[WebsocketContext]
app_ctx: _AppCtxGlobals
current_app: Quart
g: _AppCtxGlobals
request: Request
request_ctx: RequestContext
websocket: Websocket
websocket_ctx: WebsocketContext
""",
    "flask": """\
_cv_app: ContextVar[AppContext]
_cv_request: ContextVar[RequestContext]
app_ctx: AppContext
current_app: Flask
g: _AppCtxGlobals
request: Request
request_ctx: RequestContext
""",
}

FRAMEWORKS: Final = tuple(_CLASSES)
"""The frameworks whose `session` can be typed."""


def framework_files(stub: SchemaStub, framework: str) -> dict[PurePosixPath, str]:
    """Return the files of a partial stub package."""
    session = stub.class_name
    text = f"""\
{_HEADER}{schema_line(stub)}

from contextvars import ContextVar

from {stub.module} import {session}

{_CLASSES[framework]}
class _{session}({session}, SessionMixin): ...

session: _{session}
{_VARIABLES[framework]}"""
    package = PurePosixPath(f"{framework}-stubs")
    return {package / "globals.pyi": text, package / "py.typed": "partial\n"}
