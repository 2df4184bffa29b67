"""Sessions on Flask: set-up, transactions, and everything that is awaited elsewhere and a plain call here."""

from __future__ import annotations

from typing import assert_type

from flask import Flask
from flask.testing import FlaskClient
from quart import Quart
from schemas import Box, Cart, HasUser, Required, Visitor, make_visitor

from typed_sessions import Session, SessionsLike
from typed_sessions import SecureCookieSessionInterface as AwaitedInterface
from typed_sessions.flask import SecureCookieSessionInterface, SessionInfo, Sessions

app = Flask(__name__)
quart_app = Quart(__name__)
sessions = Sessions(Visitor, app)
client = app.test_client()

# set-up
Sessions(Required, app)  # error
Sessions(Visitor(), app)  # error
Sessions(app, Visitor)  # error
Sessions(Visitor, quart_app)  # error
Sessions(Visitor, app, serializer="pickle")  # error
Sessions(Visitor, app, store=7)  # error
sessions.init_app(quart_app)  # error
app.session_interface = AwaitedInterface(Visitor)  # error
app.session_interface = sessions  # error
SecureCookieSessionInterface(Required)  # error
SecureCookieSessionInterface(Visitor, report=7)  # error
assert_type(Sessions(Visitor), Sessions[Visitor])
assert_type(Sessions(make_visitor, app), Sessions[Visitor])
assert_type(Sessions(Box[int]), Sessions[Box[int]])
assert_type(Sessions(app=app), Sessions[dict[str, object]])
assert_type(Sessions[Cart](Cart), Sessions[Cart])
Sessions(Visitor, app, serializer="msgspec-json", store="redis://localhost")
app.session_interface = SecureCookieSessionInterface()
app.session_interface = SecureCookieSessionInterface(Visitor, store="sqlite:///sessions.db")
sessions.init_app(app)

# the session of a request
sessions.data.usr_id  # error
sessions.data.user_id = "7"  # error
sessions.current.data.cart.append("sku")  # error
sessions.replace("7")  # error
sessions.user_id  # error
assert_type(sessions.data, Visitor)
assert_type(sessions.current, Session[Visitor])
sessions.replace(Visitor(7))
sessions.data.user_id = 7


# plain calls
async def asynchronous() -> None:
    await sessions.save()  # error
    await sessions.reload()  # error
    await sessions.of(7)  # error
    await sessions.revoke(7)  # error
    await sessions.close()  # error
    async with sessions.transaction(client):  # error
        pass
    async with sessions:  # error
        pass
    assert_type(sessions.save(), bool)


sessions.of()  # error
sessions.of([7])  # error
sessions.of(7)[0].user_id  # error
sessions.revoke(7, True)  # error
sessions.revoke(7, spare="current")  # error
sessions.save(7)  # error
sessions.cookie_for("7")  # error
sessions.cookie_for(Visitor(), app=quart_app)  # error
sessions.client_for("7")  # error
assert_type(sessions.save(), bool)
assert_type(sessions.reload(), bool)
assert_type(sessions.of("Ada"), list[SessionInfo])
assert_type(sessions.of(7)[0].current, bool)
assert_type(sessions.cookie_for(Visitor(7), permanent=True, app=app), str)
assert_type(sessions.client_for(Visitor(7), permanent=True, app=app), FlaskClient)
sessions.revoke(7, except_current=True)
with Sessions(Visitor, app) as opened:
    assert_type(opened, Sessions[Visitor])

# transactions
with sessions.transaction(app):  # error
    pass
with sessions.transaction(client) as session:
    session.data.user_id = "7"  # error
    session.data.usr_id = 7  # error
    assert_type(session, Session[Visitor])
    session.data.user_id = 7


# helpers that know no framework
def user_of(of: SessionsLike[HasUser]) -> int | None:
    return of.data.user_id


user_of(Sessions(Box[int]))  # error
user_of(sessions)
