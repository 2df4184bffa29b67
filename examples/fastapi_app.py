"""A notebook with a login, on FastAPI: `python -m examples.fastapi_app`, then http://127.0.0.1:5000."""

import os
import secrets
from html import escape
from typing import Annotated

import uvicorn
from attrs import Factory, define
from fastapi import Depends, FastAPI, Form, responses

from typed_sessions import Session, Subject
from typed_sessions.asgi import Sessions


@define
class Visitor:
    name: Annotated[str | None, Subject] = None  # whose session it is
    notes: list[str] = Factory(list[str])


KEY, STORE = os.environ.get("SECRET_KEY") or secrets.token_hex(), os.environ.get("SESSION_STORE", "memory://")
app, sessions = FastAPI(), Sessions(Visitor, secret_key=KEY, store=STORE)
app.add_middleware(sessions.middleware)
CurrentSession = Annotated[Session[Visitor], Depends(sessions.get_session)]
Name = Annotated[str, Depends(sessions.require("name"))]  # 401 for who has not logged in


@app.get("/", response_class=responses.HTMLResponse)
async def index(session: CurrentSession) -> str:
    message, visitor = escape(str(session.extras.pop("message", ""))), session.data
    if visitor.name is None:
        return "<form method=post action=/login><input name=name required> <button>Log in</button></form>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in visitor.notes)
    return f"""{message}<h1>{escape(visitor.name)}</h1><ul>{notes}</ul>
<form method=post action=/notes><input name=text required autofocus> <button>Note</button></form>
<form method=post action=/logout><button>Log out everywhere</button></form>"""


@app.post("/login")
def login(name: Annotated[str, Form()], session: CurrentSession) -> responses.RedirectResponse:
    session.promote(name=name, message="Welcome!")  # with a new identifier
    return responses.RedirectResponse("/", 303)


@app.post("/notes")
async def note(text: Annotated[str, Form()], _name: Name) -> responses.RedirectResponse:
    sessions.data.notes.append(text)  # a nested change is saved
    return responses.RedirectResponse("/", 303)


@app.post("/logout")
async def logout(name: Name) -> responses.RedirectResponse:
    await sessions.revoke(name)
    return responses.RedirectResponse("/", 303)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "5000")))
