# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false, reportMissingImports=false
# pyrefly: ignore-errors
# ty: ignore[import-not-found, unused-ignore-comment]
# Stub of examples.shop.Visitor

from contextvars import ContextVar

from visitor_session import VisitorSession

from .app import Quart
from .ctx import AppContext, RequestContext, WebsocketContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request, Websocket

class _VisitorSession(VisitorSession, SessionMixin): ...

session: _VisitorSession
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
