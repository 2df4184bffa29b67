# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false, reportMissingImports=false
# pyrefly: ignore-errors
# ty: ignore[import-not-found, unused-ignore-comment]
# Stub of examples.shop.Visitor

from contextvars import ContextVar

from visitor_session import VisitorSession

from .app import Flask
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request

class _VisitorSession(VisitorSession, SessionMixin): ...

session: _VisitorSession
_cv_app: ContextVar[AppContext]
_cv_request: ContextVar[RequestContext]
app_ctx: AppContext
current_app: Flask
g: _AppCtxGlobals
request: Request
request_ctx: RequestContext
