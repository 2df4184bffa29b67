"""The demo around the shop: a visitor's session, live beside it, and buttons that try what usually breaks.

Demo only: a real shop shows nobody what a cookie holds, and lets no visitor restart it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import attrs
from quart import Blueprint, Quart, Response, abort, current_app, render_template
from werkzeug import Response as WerkzeugResponse

from examples.shop import (
    create_app,
    is_from_this_site,
    on_server,
    own_sessions,
    see_other,
    sent_cookie,
    sessions,
    set_cookie_size,
)
from examples.shop.deployment import Deployment
from examples.shop.trials import TRIALS, Scene, meet
from typed_sessions.tools.inspection import inspect_cookie

POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

demo = Blueprint("demo", __name__, url_prefix="/demo")
demo.before_app_request(meet)


def create_demo_app(store: str | None = None, **settings: object) -> Quart:
    app = create_app(store, **settings)
    app.register_blueprint(demo)
    return app


async def look() -> dict[str, object]:
    """Return what the page shows of the session. It is read by key, so that looking at it stores nothing."""
    cookie = sent_cookie()
    # Whoever has an identifier has the session: it belongs in no page, not even in this one.
    signed = None if cookie is None or on_server() else cookie
    formats = () if signed is None else inspect_cookie(signed, current_app.secret_key).formats
    return {
        "fields": sessions.schema.fields.values(),
        "stored": dict(sessions.current),
        "extras": dict(sessions.current.extras),
        "cookie": cookie,
        "signed": signed,
        "digest": "" if cookie is None else hashlib.sha256(cookie.encode()).hexdigest()[:8],  # tells it from another
        "size": 0 if cookie is None else set_cookie_size(cookie),
        "format": next(iter(formats), None),
        "devices": len(await own_sessions()),
        "on_server": on_server(),
    }


@demo.app_context_processor
def show() -> dict[str, object]:
    return {"look": look, "trials": TRIALS}


@demo.app_template_filter()
def attributes(value: object) -> dict[str, object] | None:
    """Return what an attrs object holds; None if it is none."""
    cls = type(value)
    return {each.name: getattr(value, each.name) for each in attrs.fields(cls)} if attrs.has(cls) else None


@demo.app_template_filter()
def literal(value: object) -> str:
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else repr(value)


@demo.after_app_request
async def restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


@demo.before_request
async def refuse_other_sites() -> None:
    if not is_from_this_site():
        abort(403, "This form came from another site.")


@demo.post("/trials/<name>")
async def run_trial(name: str) -> Response:
    """Run a trial, and answer with its outcome, and with what the visitor's own browser got meanwhile."""
    trial = next((trial for trial in TRIALS if trial.name == name), None)
    if trial is None:
        abort(404, "There is no such trial.")
    deployment = Deployment.current()
    async with deployment.lock:
        scene = Scene(deployment, sent_cookie())
        verdict = await trial.run(scene)
    response = Response(await render_template("demo/outcome.html", verdict=verdict, steps=scene.steps))
    response.headers["Cache-Control"] = "no-store"
    if scene.you.set_cookie is not None:
        response.headers.add("Set-Cookie", scene.you.set_cookie)
    return response


@demo.post("/start-over")
async def start_over() -> WerkzeugResponse:
    """Put the shop back to what it was. Sessions that have moved to the server are not moved back."""
    sessions.current.invalidate()
    async with Deployment.current().lock:
        await Deployment.current().start_over()
    return see_other("shop.products")
