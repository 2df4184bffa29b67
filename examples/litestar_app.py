"""A notebook with a login, on Litestar: `python -m examples.litestar_app`, then http://127.0.0.1:5000."""

import os
import secrets
from html import escape
from typing import Annotated

import uvicorn
from attrs import Factory, define
from litestar import Litestar, MediaType, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from typed_sessions import Subject
from typed_sessions.litestar import Sessions


@define
class Visitor:
    name: Annotated[str | None, Subject] = None  # whose session it is
    notes: list[str] = Factory(list[str])


KEY, STORE = os.environ.get("SECRET_KEY") or secrets.token_hex(), os.environ.get("SESSION_STORE", "memory://")
sessions = Sessions(Visitor, secret_key=KEY, store=STORE)
Form = URLEncodedBody[dict[str, str]]
Data = NamedDependency[Visitor]


@get("/", media_type=MediaType.HTML)
async def index(session_data: Data) -> str:
    message = escape(str(sessions.current.pop("message", "")))
    if session_data.name is None:
        return "<form method=post action=/login><input name=name required> <button>Log in</button></form>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in session_data.notes)
    return f"""{message}<h1>{escape(session_data.name)}</h1><ul>{notes}</ul>
<form method=post action=/notes><input name=text required autofocus> <button>Note</button></form>
<form method=post action=/logout><button>Log out everywhere</button></form>"""


@post(["/login", "/notes"])
async def change(data: Form, session_data: Data) -> Redirect:
    if "name" in data:
        sessions.current.promote(name=data["name"], message="Welcome!")  # with a new identifier
    else:
        session_data.notes.append(data["text"])  # a nested change is saved
    return Redirect("/", status_code=303)


@post("/logout")
async def logout(session_data: Data) -> Redirect:
    await sessions.revoke(session_data.name or "")
    return Redirect("/", status_code=303)


app = Litestar([index, change, logout], plugins=[sessions])
if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "5000")))
