"""The demo around the shop: each trial shows what it says, and what is said of Quart's own sessions is so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response, session
from quart.sessions import SecureCookieSessionInterface
from quart.typing import TestClientProtocol as QuartClient

from examples.shop import MAX_QUANTITY, PRODUCTS, CartItem, both_carts, sessions, trials
from examples.shop.demo import create_demo_app
from examples.shop.deployment import Deployment
from examples.shop.trials import TRIALS, Scene, meeting
from typed_sessions import ConfigurationError
from typed_sessions.serializers import MsgspecJSONSerializer
from typed_sessions.stores.identifiers import Identifier

BY_NAME = {trial.name: trial for trial in TRIALS}
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with serving(tmp_path) as deployed:
        yield deployed


@asynccontextmanager
async def serving(folder: Path, **settings: object) -> AsyncIterator[Deployment]:
    database = f"sqlite:///{folder / 'sessions.db'}"
    deployed = Deployment(create_demo_app, SECRET_KEY="a key of the demo", DEMO_DATABASE=database, **settings)
    await deployed.app.startup()
    yield deployed
    await deployed.app.shutdown()


async def run_trial(client: QuartClient, name: str) -> str:
    response: Response = await client.post(f"/demo/trials/{name}", headers=FROM_HERE)
    assert response.status_code == 200
    return str(await response.get_data(as_text=True))


def moved(client: QuartClient, deployment: Deployment) -> QuartClient:
    """Return the same browser, at the application that serves now."""
    there = deployment.app.test_client()
    there.cookie_jar = client.cookie_jar
    return there


async def html_of(client: QuartClient, path: str) -> str:
    return str(await (await client.get(path)).get_data(as_text=True))


async def enter(client: QuartClient, name: str = "Grace") -> None:
    await client.post("/cart/sencha", headers=FROM_HERE, form={"quantity": "2"})
    async with sessions.transaction(client) as session:
        token = session.data.csrf_token
    await client.post("/login", headers=FROM_HERE, form={"name": name, "csrf_token": token})


@pytest.mark.parametrize("known", [False, True], ids=["a new visitor", "a customer"])
@pytest.mark.parametrize("server", [False, True], ids=["in cookies", "on the server"])
@pytest.mark.parametrize("name", BY_NAME)
async def test_a_trial_passes_and_passes_again(deployment: Deployment, name: str, *, server: bool, known: bool) -> None:
    if server:
        await Scene(deployment, None).move_to_server()
    client = deployment.app.test_client()
    if known:
        await enter(client)
    for _ in range(2):
        assert 'class="verdict passed"' in await run_trial(client, name)
        client = moved(client, deployment)
    if known:
        page = await html_of(client, "/cart")
        assert 'class="who">Grace' in page
        assert '<input id="quantity-sencha"' in page


async def test_a_shop_that_begins_on_a_store_stays_there(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'own.db'}"
    async with serving(tmp_path, store=store) as deployment:
        client = deployment.app.test_client()
        await enter(client)
        for name in BY_NAME:
            assert 'class="verdict passed"' in await run_trial(client, name), name
            assert deployment.config["SESSION_STORE"] == store
            client = moved(client, deployment)
        await client.post("/demo/start-over", headers=FROM_HERE)
        assert deployment.config["SESSION_STORE"] == store


@pytest.mark.parametrize(
    ("store", "said"), [("foo://x", "the URL of a session store begins with"), ("sqlite:///none/x.db", "a directory")]
)
async def test_a_shop_that_cannot_start_says_why(store: str, said: str, tmp_path: Path) -> None:
    deployed = Deployment(create_demo_app, store=store, SECRET_KEY="a key of the demo", DEMO_DATABASE=str(tmp_path))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "lifespan"}
    with pytest.raises(ConfigurationError):
        await deployed(scope, receive, send)
    assert [each["type"] for each in sent] == ["lifespan.startup.failed"]
    assert said in sent[0]["message"]


async def test_tabs_do_not_wait_for_ever(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "PATIENCE", 0.01)
    scene = Scene(deployment, None)
    with meeting(2):
        assert (await scene.you.get("/")).status_code == 500
    assert (await scene.you.get("/")).status_code == 200


async def test_one_visitor_tries_everything_in_each_order(deployment: Deployment) -> None:
    client = deployment.app.test_client()
    await enter(client)
    for name in (*BY_NAME, *reversed(BY_NAME)):
        assert 'class="verdict passed"' in await run_trial(client, name), name
        client = moved(client, deployment)
    assert 'class="who">Grace' in await html_of(client, "/")


async def test_whoever_has_bought_the_shop_empty_can_try_everything(deployment: Deployment) -> None:
    scene = Scene(deployment, None)
    for sku in PRODUCTS:
        await scene.you.post(f"/cart/{sku}", quantity=str(MAX_QUANTITY))
    for trial in TRIALS:
        assert (await trial.run(scene)).passed, trial.name


async def test_many_visitors_try_everything_at_once(deployment: Deployment) -> None:
    async def visit(number: int) -> list[str]:
        client, pages = deployment.app.test_client(), []
        await enter(client, f"Visitor {number}")
        for name in BY_NAME:
            pages.append(await run_trial(client, name))
            client = moved(client, deployment)
        return pages

    for pages in await asyncio.gather(*(visit(number) for number in range(3))):
        assert all('class="verdict passed"' in page for page in pages)


@pytest.mark.parametrize("name", ["add-from-two-tabs", "replay-after-log-out"])
async def test_a_trial_says_so_where_sessions_stay_in_cookies(
    deployment: Deployment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stay(_: Scene) -> None:
        pass

    monkeypatch.setattr(Scene, "be_on_server", stay)
    assert 'class="verdict failed"' in await run_trial(deployment.app.test_client(), name)


async def test_a_forged_cookie_that_opened_would_be_said(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(deployment, None)
    await scene.have_cart()
    monkeypatch.setattr(Scene, "browser", lambda self, who, cookie=None: self.you)  # noqa: ARG005 -- its parameters
    assert not (await BY_NAME["change-the-cookie"].run(scene)).passed


async def test_a_trial_shows_what_the_library_reports(deployment: Deployment) -> None:
    page = await run_trial(deployment.app.test_client(), "change-the-cookie")
    assert "session cookie refused: no configured key signed it" in page
    page = await run_trial(deployment.app.test_client(), "open-in-the-next-release")
    assert "session field reset to its default: logged_in_at is not date | None" in page
    page = await run_trial(deployment.app.test_client(), "replay-after-log-out")
    assert "session cookie refused: no live session has its identifier" in page


async def test_two_tabs_have_both_read_before_either_writes(deployment: Deployment) -> None:
    scene = Scene(deployment, None)
    await scene.move_to_server()
    before = await scene.have_cart()
    one, other = (scene.browser(who, scene.you.cookie) for who in ("one", "other"))
    with meeting(2):
        waiting = asyncio.create_task(one.send("/cart/assam", before, quantity="1"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await other.send("/cart/oolong", before, quantity="1")
        await waiting
    after = await scene.you.visitor()
    assert after is not None
    assert [item.sku for item in after.cart] in (["sencha", "assam", "oolong"], ["sencha", "oolong", "assam"])


async def test_a_request_ends_at_the_application_where_it_began(deployment: Deployment) -> None:
    scene = Scene(deployment, None)
    await scene.have_cart()
    former = deployment.app
    with meeting(2):
        begun = asyncio.create_task(scene.you.get("/cart"))
        await asyncio.sleep(0.05)
        await deployment.restart()
        assert deployment.app is not former
        await Scene(deployment, None).you.get("/cart")
    assert (await begun).status_code == 200


async def test_a_format_that_a_customer_has_chosen_outlives_a_restart(deployment: Deployment) -> None:
    deployment.app.config["SESSION_SERIALIZER"] = "msgspec-msgpack"
    await deployment.restart()
    assert deployment.config["SESSION_SERIALIZER"] == "msgspec-msgpack"


@pytest.mark.parametrize("server", [False, True], ids=["in cookies", "on the server"])
async def test_start_over_empties_the_cart_and_puts_sessions_into_cookies(
    deployment: Deployment, *, server: bool
) -> None:
    if server:
        await Scene(deployment, None).move_to_server()
    client = deployment.app.test_client()
    await enter(client)
    response = await client.post("/demo/start-over", headers=FROM_HERE)
    assert (response.status_code, response.location) == (303, "/")
    assert deployment.config["SESSION_STORE"] is None
    client = moved(client, deployment)
    assert 'class="who"' not in await html_of(client, "/")
    await enter(client)
    assert "in a signed cookie" in await html_of(client, "/")


@pytest.mark.parametrize("path", ["/demo/start-over", *(f"/demo/trials/{name}" for name in BY_NAME)])
async def test_another_site_can_try_nothing(deployment: Deployment, path: str) -> None:
    client, former = deployment.app.test_client(), deployment.app
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {}):
        response = await client.post(path, headers=headers)
        assert response.status_code == 403
        assert "Set-Cookie" not in response.headers
    assert deployment.app is former


async def test_an_unknown_trial_is_not_found(deployment: Deployment) -> None:
    assert (await deployment.app.test_client().post("/demo/trials/x", headers=FROM_HERE)).status_code == 404


async def test_the_page_shows_typed_contents_and_the_cookie(deployment: Deployment) -> None:
    client = deployment.app.test_client()
    await enter(client)
    await client.get("/")
    page = re.sub(r"<[^>]*>", "", (await html_of(client, "/")).replace("&#39;", "'"))
    assert "user: str | None = 'Grace'" in re.sub(r"\s+", " ", page)
    assert "CartItem(sku='sencha', name='Harbour Sencha', price=Decimal('11.50'), quantity=2)" in page
    (cookie,) = (each.value for each in client.cookie_jar or ())
    assert cookie is not None
    assert cookie in page


async def test_no_identifier_is_on_a_page_of_the_demo(deployment: Deployment) -> None:
    await Scene(deployment, None).move_to_server()
    client = deployment.app.test_client()
    await enter(client)
    (cookie,) = (each.value for each in client.cookie_jar or ())
    assert Identifier.of(cookie or "")
    pages = [await html_of(client, path) for path in ("/", "/cart", "/session", "/unknown")]
    pages += [await run_trial(client, name) for name in BY_NAME]
    assert not any(each.value in page for page in pages for each in client.cookie_jar or () if each.value)
    assert "*" * 43 in pages[0]


async def test_looking_at_the_demo_sets_no_cookie_and_makes_no_record(deployment: Deployment) -> None:
    await Scene(deployment, None).move_to_server()
    for path in ("/", "/cart", "/login", "/session", "/products/sencha", "/unknown", "/static/demo.js"):
        assert "Set-Cookie" not in (await deployment.app.test_client().get(path)).headers
    assert await sessions.of("Grace") == []


async def test_the_policy_forbids_what_is_inline_and_there_is_nothing_inline(deployment: Deployment) -> None:
    client = deployment.app.test_client()
    await enter(client)
    for path in ("/", "/cart", "/login", "/session", "/products/sencha", "/unknown"):
        response = await client.get(path)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        page = str(await response.get_data(as_text=True))
        assert not re.search(
            r"\sstyle=|<style|<script(?![^>]*\ssrc=)|\son\w+=|javascript:|https?://(?!www\.w3\.org)", page
        )


@pytest.mark.parametrize(
    ("before", "mine", "theirs", "together"),
    [
        ({"a": 1}, {"a": 1, "b": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}),
        ({"a": 1}, {"a": 2}, {"a": 4}, {"a": 5}),
        ({}, {"a": 1}, {"a": 1}, {"a": 2}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 1}, {"b": 2}),
        ({"a": 1}, {"a": 2}, {}, {}),
        ({"a": 5}, {"a": 1}, {"a": 1}, {"a": 1}),
        ({"a": 60}, {"a": 90}, {"a": 90}, {"a": 99}),
    ],
    ids=str,
)
def test_carts_of_two_tabs_are_merged_by_tin(
    before: dict[str, int], mine: dict[str, int], theirs: dict[str, int], together: dict[str, int]
) -> None:
    def cart(quantities: dict[str, int]) -> list[CartItem]:
        return [CartItem(sku, sku.upper(), Decimal(1), quantity) for sku, quantity in quantities.items()]

    merged = both_carts(cart(before), cart(mine), cart(theirs))
    assert {item.sku: item.quantity for item in merged} == together


# What is said of Quart's own sessions.


def quarts_own(**settings: Any) -> QuartClient:
    app = Quart(__name__)
    app.secret_key = "a key of the demo"
    app.config.update(settings)

    @app.post("/cart/<sku>")
    async def add(sku: str) -> str:
        session["cart"] = [*session.get("cart", []), sku]
        return "added"

    @app.post("/login")
    async def log_in() -> str:
        session["user"] = "Ada"
        return "logged in"

    @app.post("/logout")
    async def log_out() -> str:
        session.clear()
        return "logged out"

    @app.get("/")
    async def show() -> dict[str, object]:
        return {"user": session.get("user"), "customer": session.get("customer"), "cart": session.get("cart")}

    return app.test_client()


async def shown(client: QuartClient, cookie: str) -> Any:
    return await (await client.get("/", headers={"Cookie": f"session={cookie}"})).get_json()


async def sent(client: QuartClient, path: str, cookie: str | None = None) -> str:
    headers = None if cookie is None else {"Cookie": f"session={cookie}"}
    header: str = (await client.post(path, headers=headers)).headers["Set-Cookie"]
    return header.partition(";")[0].partition("=")[2]


async def test_quart_loses_the_tea_of_one_of_two_tabs() -> None:
    assert BY_NAME["add-from-two-tabs"].elsewhere == "The later answer wins. The other tea is lost."
    client = quarts_own()
    client.cookie_jar = None
    begun = await sent(client, "/cart/sencha")
    answers = [await sent(client, f"/cart/{sku}", begun) for sku in ("assam", "oolong")]
    assert (await shown(client, answers[-1]))["cart"] == ["sencha", "oolong"]


async def test_quart_refuses_a_forged_cookie_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert BY_NAME["change-the-cookie"].elsewhere == "Refused as well. No log says why."
    caplog.set_level("DEBUG")
    client = quarts_own()
    cookie = await sent(client, "/login")
    caplog.clear()
    assert (await shown(client, f"{cookie[:3]}{'A' if cookie[3] != 'A' else 'B'}{cookie[4:]}"))["user"] is None
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_quart_opens_a_copy_after_the_log_out() -> None:
    assert BY_NAME["replay-after-log-out"].elsewhere == "The copy is logged in, for up to 31 days."
    client = quarts_own()
    cookie = await sent(client, "/login")
    await sent(client, "/logout", cookie)
    assert (await shown(client, cookie))["user"] == "Ada"
    assert client.app.permanent_session_lifetime.days == 31


async def test_quart_logs_everybody_out_with_another_serializer() -> None:
    assert BY_NAME["switch-the-format"].elsewhere == "Another serializer logs everybody out."

    class Other(SecureCookieSessionInterface):
        serializer = MsgspecJSONSerializer()  # type: ignore[assignment]  # of itsdangerous' shape, as Quart's is
        salt = "cookie-session.msgspec-json"

    cookie = await sent(quarts_own(), "/login")
    client = quarts_own()
    client.app.session_interface = Other()
    assert (await shown(client, cookie))["user"] is None


async def test_quart_knows_nobody_under_the_new_name_of_a_key() -> None:
    assert "former name" in BY_NAME["open-in-the-next-release"].elsewhere
    client = quarts_own()
    assert (await shown(client, await sent(client, "/login")))["customer"] is None


def test_a_trial_is_told_in_short_sentences() -> None:
    texts = [text for each in TRIALS for text in (each.title, each.question, each.button, each.elsewhere)]
    assert max(len(text.split()) for text in texts) <= 20
    assert len({each.title for each in TRIALS}) == len(TRIALS) == 7


def test_the_page_on_the_demo_says_what_each_button_shows() -> None:
    page = (Path(__file__).parent.parent / "docs" / "tutorial" / "demo.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| **")
    ]
    assert [(row[0], row[-1]) for row in rows] == [
        (f"**{trial.title}**: {trial.button}", trial.elsewhere) for trial in TRIALS
    ]
