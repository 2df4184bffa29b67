"""A notebook with a login, on Flask: `python -m examples.flask_app`, then http://127.0.0.1:5000."""

import os
import secrets
from typing import Annotated

from attrs import Factory, define
from flask import Flask, flash, redirect, render_template_string, request
from werkzeug import Response

from typed_sessions import Subject
from typed_sessions.flask import Sessions


@define
class Visitor:
    name: Annotated[str | None, Subject] = None  # whose session it is
    notes: list[str] = Factory(list[str])


app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
sessions = Sessions(Visitor, app, store=os.environ.get("SESSION_STORE", "memory://"))

PAGE = """<!doctype html><title>Notes</title>
{% for message in get_flashed_messages() %}<p role=status>{{ message }}</p>{% endfor %}
{% if visitor.name %}<h1>{{ visitor.name }}</h1><ul>{% for note in visitor.notes %}<li>{{ note }}</li>{% endfor %}</ul>
<form method=post action=/notes><input name=text required autofocus> <button>Note</button></form>
<form method=post action=/logout><button>Log out everywhere</button></form>{% else %}
<form method=post action=/login>Name: <input name=name required autofocus> <button>Log in</button></form>{% endif %}"""


@app.get("/")
def index() -> str:
    return render_template_string(PAGE, visitor=sessions.data)


@app.post("/login")
def login() -> Response:
    sessions.current.promote(name=request.form["name"])  # with a new identifier
    flash("Welcome!")
    return redirect("/")


@app.post("/notes")
def note() -> Response:
    sessions.data.notes.append(request.form["text"])  # a nested change is saved
    return redirect("/")


@app.post("/logout")
def logout() -> Response:
    sessions.revoke(sessions.data.name or "")
    return redirect("/")


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
