"""A notebook with a login, on Starlette: `python -m examples.starlette_app`, then http://127.0.0.1:5000."""

import os
import secrets
from html import escape
from typing import Annotated

import uvicorn
from attrs import Factory, define
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from typed_sessions import Subject
from typed_sessions.asgi import Sessions


@define
class Visitor:
    name: Annotated[str | None, Subject] = None  # whose session it is
    notes: list[str] = Factory(list[str])


KEY, STORE = os.environ.get("SECRET_KEY") or secrets.token_hex(), os.environ.get("SESSION_STORE", "memory://")
sessions = Sessions(Visitor, secret_key=KEY, store=STORE)


async def index(request: Request) -> HTMLResponse:
    message, visitor = escape(request.session.pop("message", "")), sessions.data
    if visitor.name is None:
        return HTMLResponse("<form method=post action=/login><input name=name required> <button>Log in</button></form>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in visitor.notes)
    return HTMLResponse(f"""{message}<h1>{escape(visitor.name)}</h1><ul>{notes}</ul>
<form method=post action=/notes><input name=text required autofocus> <button>Note</button></form>
<form method=post action=/logout><button>Log out everywhere</button></form>""")


async def change(request: Request) -> RedirectResponse:
    async with request.form() as form:
        match request.url.path:
            case "/login":
                sessions.current.promote(name=str(form["name"]), message="Welcome!")  # with a new identifier
            case "/notes":
                sessions.data.notes.append(str(form["text"]))  # a nested change is saved
            case _:
                await sessions.revoke(sessions.data.name or "")
    return RedirectResponse("/", 303)


changes = [Route(path, change, methods=["POST"]) for path in ("/login", "/notes", "/logout")]
app = Starlette(routes=[Route("/", index), *changes], middleware=[Middleware(sessions.middleware)])

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "5000")))
