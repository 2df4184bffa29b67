"""The example shop, run as its users run it: its own process, a real server, a browser's cookies."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from quart import Response
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol as QuartClient

from examples.shop import FORMATS, MAX_NAME_LENGTH, MAX_QUANTITY, PRODUCTS, CartItem, Visitor, create_app, sessions
from tests.serving import serving_shop
from typed_sessions.stores import MemoryStore
from typed_sessions.tools.cli import main

SECRET = "the secret key of the shop under test"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running shop."""
    with serving_shop(tmp_path_factory.mktemp("shop") / "log", SECRET) as url:
        yield url


def open_browser(url: str) -> httpx.Client:
    """Browsers say with each form which site it is of."""
    return httpx.Client(base_url=url, headers={"Origin": url}, follow_redirects=True, trust_env=False)


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    with open_browser(url) as client:
        yield client


@pytest.fixture
def other_browser(url: str) -> Iterator[httpx.Client]:
    with open_browser(url) as client:
        yield client


def token(page: httpx.Response) -> str:
    (found,) = set(tokens(page))
    return found


def tokens(page: httpx.Response) -> list[str]:
    """Return the token of each form; visitors without a session have none."""
    found: list[str] = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    return found


def submit(browser: httpx.Client, page: str, action: str, **values: str) -> httpx.Response:
    """Open a page and send one of its forms."""
    found = tokens(browser.get(page))
    return browser.post(action, data={"csrf_token": found[0], **values} if found else values)


def add(browser: httpx.Client, sku: str, quantity: int = 1) -> httpx.Response:
    return submit(browser, f"/products/{sku}", f"/cart/{sku}", quantity=str(quantity))


def log_in(browser: httpx.Client, name: str) -> httpx.Response:
    return submit(browser, "/login", "/login", name=name)


def quantities(browser: httpx.Client) -> dict[str, int]:
    """Return what the cart page shows, by SKU."""
    found = re.findall(r'<input id="quantity-([a-z-]+)"[^>]*value="(\d+)"', browser.get("/cart").text)
    return {sku: int(quantity) for sku, quantity in found}


def cookie_of(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the cookie of a visitor of the running shop, which has the same key."""
    monkeypatch.setenv("SHOP_SECRET_KEY", SECRET)
    return sessions.cookie_for(visitor, app=create_app())


PAGES = ["/", "/cart", "/login", "/session", "/products/sencha", "/products/unknown", "/unknown", "/static/shop.css"]


@pytest.mark.parametrize("path", PAGES)
def test_looking_around_sets_no_cookie(browser: httpx.Client, path: str) -> None:
    assert "set-cookie" not in browser.get(path).headers


async def test_looking_around_makes_no_record() -> None:
    app, store = create_app(), MemoryStore()
    app.config["SESSION_STORE"] = store
    client = app.test_client()
    for path in PAGES:
        for method in (client.get, client.head):
            assert "Set-Cookie" not in (await method(path)).headers
    assert store._records == {}


@pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])
@pytest.mark.parametrize("path", ["/cart/sencha/quantity", "/cart/sencha/remove", "/session/others/end"])
async def test_a_form_of_a_stranger_that_is_refused_makes_no_session(path: str, store: str | None) -> None:
    client = create_app(store).test_client()
    response = await client.post(path, form={"quantity": "1"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert response.status_code == 404
    assert "Set-Cookie" not in response.headers


def test_these_are_all_pages() -> None:
    pages = {rule.rule for rule in create_app().url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert pages == {"/", "/cart", "/login", "/session", "/products/<sku>", "/static/<path:filename>"}


@pytest.mark.parametrize("path", PAGES)
def test_looking_around_with_a_session_sets_no_cookie(browser: httpx.Client, path: str) -> None:
    add(browser, "sencha")
    log_in(browser, "Ada")
    assert "set-cookie" not in browser.get(path).headers


def test_a_session_that_begins_has_a_token_for_all_forms(browser: httpx.Client) -> None:
    assert tokens(browser.get("/products/sencha")) == []
    begun = browser.post("/cart/sencha", data={"quantity": "1"})
    assert "HttpOnly; Path=/; SameSite=Lax" in begun.history[0].headers["set-cookie"]
    assert token(browser.get("/products/sencha")) == token(browser.get("/login")) == token(browser.get("/cart"))


@pytest.mark.parametrize("path", ["/", "/products/sencha", "/cart", "/login", "/session", "/unknown"])
def test_page_that_uses_the_session_varies_by_cookie(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).headers["vary"] == "Cookie"


def test_static_file_is_the_same_for_all(browser: httpx.Client) -> None:
    style = browser.get("/static/shop.css")

    assert style.status_code == 200
    assert "vary" not in style.headers


def test_cart_survives_across_requests(browser: httpx.Client) -> None:
    add(browser, "sencha", 2)
    add(browser, "oolong")
    browser.get("/")

    assert quantities(browser) == {"sencha": 2, "oolong": 1}
    assert "€39.00" in browser.get("/cart").text


def test_change_inside_a_cart_item_is_saved(browser: httpx.Client) -> None:
    add(browser, "sencha", 2)
    add(browser, "sencha", 3)

    assert quantities(browser) == {"sencha": 5}


def test_quantity_changes(browser: httpx.Client) -> None:
    add(browser, "sencha")
    submit(browser, "/cart", "/cart/sencha/quantity", quantity="7")

    assert quantities(browser) == {"sencha": 7}


def test_quantity_stops_at_the_limit(browser: httpx.Client) -> None:
    add(browser, "sencha", MAX_QUANTITY)
    add(browser, "sencha", MAX_QUANTITY)

    assert quantities(browser) == {"sencha": MAX_QUANTITY}


def test_removed_item_is_gone(browser: httpx.Client) -> None:
    add(browser, "sencha")
    add(browser, "oolong")
    submit(browser, "/cart", "/cart/sencha/remove")
    assert quantities(browser) == {"oolong": 1}

    submit(browser, "/cart", "/cart/oolong/remove")
    assert "Nothing in it yet" in browser.get("/cart").text


def test_form_is_answered_with_see_other(browser: httpx.Client) -> None:
    answer = browser.post("/cart/sencha", data={"quantity": "1"}, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/cart")


def test_two_visitors_do_not_see_each_others_cart(browser: httpx.Client, other_browser: httpx.Client) -> None:
    add(browser, "sencha")
    add(other_browser, "oolong", 3)

    assert quantities(browser) == {"sencha": 1}
    assert quantities(other_browser) == {"oolong": 3}


def test_login_keeps_the_cart_and_changes_the_token(browser: httpx.Client) -> None:
    add(browser, "sencha", 2)
    before = token(browser.get("/login"))
    page = log_in(browser, "  Ada ")

    assert "Welcome, Ada." in page.text
    assert '<span class="who">Ada</span>' in page.text
    assert quantities(browser) == {"sencha": 2}
    assert token(browser.get("/login")) != before


def test_login_is_stored_with_its_time(browser: httpx.Client) -> None:
    log_in(browser, "Ada")
    page = html.unescape(browser.get("/session").text)

    assert "'Ada'" in page
    assert "datetime.datetime(" in page


def test_logout_forgets_everything(browser: httpx.Client) -> None:
    add(browser, "sencha")
    log_in(browser, "Ada")
    page = submit(browser, "/", "/logout")

    assert "You are logged out" in page.text
    assert "Ada" not in page.text
    assert quantities(browser) == {}
    assert not browser.cookies


def test_flash_is_shown_once(browser: httpx.Client) -> None:
    message = "Harbour Sencha is in your cart."

    assert message in add(browser, "sencha").text
    assert message not in browser.get("/cart").text


def test_name_is_escaped(browser: httpx.Client) -> None:
    page = log_in(browser, "<script>alert(1)</script>")

    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in browser.get("/session").text


def test_session_page_shows_contents_cookie_size_and_format(browser: httpx.Client) -> None:
    added = add(browser, "sencha", 2).history[0].headers["set-cookie"]
    emptied_of_flash = browser.cookies["session"]
    page = html.unescape(browser.get("/session").text)

    assert "CartItem(sku='sencha', name='Harbour Sencha', price=Decimal('11.50'), quantity=2)" in page
    assert f'<code id="cookie">{emptied_of_flash}</code>' in page
    attributes = added.partition(";")[2]
    assert f"{len(f'session={emptied_of_flash};{attributes}')} of 4093 bytes" in page
    assert '<span id="format">tagged-json</span>' in page


def test_session_page_shows_which_fields_are_not_stored(browser: httpx.Client) -> None:
    page = browser.get("/session").text

    assert "you sent no session cookie" in page
    assert page.count("nothing; it has its default") == len(sessions.schema.fields)


def test_session_page_changes_nothing(browser: httpx.Client) -> None:
    add(browser, "sencha")
    log_in(browser, "Ada")
    before = browser.cookies["session"]

    assert "set-cookie" not in browser.get("/session").headers
    assert browser.cookies["session"] == before
    assert quantities(browser) == {"sencha": 1}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/products/unknown"),
        ("GET", "/unknown"),
        ("POST", "/cart/unknown"),
        ("POST", "/cart/oolong/quantity"),
        ("POST", "/cart/oolong/remove"),
    ],
)
def test_unknown_product_is_not_found(browser: httpx.Client, method: str, path: str) -> None:
    add(browser, "sencha")
    data = {"csrf_token": token(browser.get("/cart")), "quantity": "1"}
    answer = browser.request(method, path, data=data if method == "POST" else None)

    assert answer.status_code == 404
    assert "Not Found" in answer.text
    assert quantities(browser) == {"sencha": 1}


@pytest.mark.parametrize(
    "quantity", ["", "0", "-1", "1.5", "two", "100", "9" * 5000, "²", "\0"], ids=lambda text: ascii(text[:9])
)
def test_wrong_quantity_is_a_bad_request(browser: httpx.Client, quantity: str) -> None:
    add(browser, "sencha", 4)
    answer = submit(browser, "/cart", "/cart/sencha/quantity", quantity=quantity)

    assert answer.status_code == 400
    assert quantities(browser) == {"sencha": 4}


@pytest.mark.parametrize("name", ["", "   ", "x" * (MAX_NAME_LENGTH + 1)], ids=["empty", "blank", "long"])
def test_wrong_name_is_a_bad_request(browser: httpx.Client, name: str) -> None:
    assert log_in(browser, name).status_code == 400
    assert "Log in</a>" in browser.get("/").text


@pytest.mark.parametrize(("page", "action"), [("/products/sencha", "/cart/sencha"), ("/login", "/login")])
def test_missing_value_is_a_bad_request(browser: httpx.Client, page: str, action: str) -> None:
    assert submit(browser, page, action).status_code == 400


@pytest.mark.parametrize("sent", [{}, {"csrf_token": ""}, {"csrf_token": "guessed"}, {"csrf_token": "é"}], ids=repr)
def test_form_without_the_token_is_refused(browser: httpx.Client, sent: dict[str, str]) -> None:
    add(browser, "sencha")
    answer = browser.post("/cart/sencha/remove", data=sent)

    assert answer.status_code == 403
    assert quantities(browser) == {"sencha": 1}


def test_token_of_another_visitor_is_refused(browser: httpx.Client, other_browser: httpx.Client) -> None:
    add(browser, "sencha")
    add(other_browser, "sencha")
    stolen = token(other_browser.get("/products/sencha"))

    assert browser.post("/logout", data={"csrf_token": stolen}).status_code == 403
    assert quantities(browser) == {"sencha": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("action", ["/login", "/logout", "/cart/sencha", "/session/format"])
def test_form_that_another_site_sends_for_a_stranger_is_refused(
    browser: httpx.Client, action: str, headers: dict[str, str]
) -> None:
    """Of whoever has a session, other sites' forms come without it, too (SameSite): a new one would replace it."""
    data = {"name": "Mallory", "quantity": "1", "format": "msgspec-json", "csrf_token": "guessed"}
    answer = browser.post(action, data=data, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_form_of_a_stranger_that_says_no_origin_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}/login", data={"name": "Mallory"}, trust_env=False)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/cart", "/session", "/login"])
def test_tampered_cookie_gives_a_fresh_session(browser: httpx.Client, path: str) -> None:
    add(browser, "sencha")
    log_in(browser, "Ada")
    genuine = browser.cookies["session"]
    tampered = genuine[:9] + ("A" if genuine[9] != "A" else "B") + genuine[10:]
    answer = httpx.get(browser.base_url.join(path), headers={"Cookie": f"session={tampered}"}, trust_env=False)

    assert answer.status_code == 200
    assert "Ada" not in answer.text
    assert '<span class="count">0' in answer.text


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "." * 50, "e30.e30.e30", "%00", '"'])
def test_nonsense_cookie_gives_a_fresh_session(url: str, cookie: str) -> None:
    answer = httpx.get(f"{url}/session", headers={"Cookie": f"session={cookie}"}, trust_env=False)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_cookie_made_from_a_typed_visitor_opens(browser: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor(user="Ada", cart=[CartItem("sencha", "Harbour Sencha", Decimal("11.50"), 3)])
    browser.cookies.set("session", cookie_of(visitor, monkeypatch), domain="127.0.0.1")

    assert quantities(browser) == {"sencha": 3}
    assert '<span class="who">Ada</span>' in browser.get("/").text


def test_fullest_cart_fits_the_cookie(browser: httpx.Client) -> None:
    assert log_in(browser, "🫖" * MAX_NAME_LENGTH).status_code == 200
    for sku in PRODUCTS:
        assert add(browser, sku, MAX_QUANTITY).status_code == 200

    assert quantities(browser) == dict.fromkeys(PRODUCTS, MAX_QUANTITY)


def test_random_key_is_announced(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("SHOP_SECRET_KEY", raising=False)
    one, other = create_app(), create_app()

    assert "SHOP_SECRET_KEY is not set" in caplog.text
    assert one.secret_key != other.secret_key


def test_the_format_changes_while_the_shop_is_open_and_no_cart_is_lost(browser: httpx.Client) -> None:
    add(browser, "sencha", 2)
    log_in(browser, "Ada")
    try:
        for name in (*FORMATS, *reversed(FORMATS)):
            page = submit(browser, "/session", "/session/format", format=name)
            assert f'<span id="format">{name}</span>' in page.text
            assert quantities(browser) == {"sencha": 2}
            assert "Ada" in browser.get("/session").text
    finally:
        submit(browser, "/session", "/session/format", format="tagged-json")


def test_an_unknown_format_is_refused(browser: httpx.Client) -> None:
    add(browser, "sencha")
    assert submit(browser, "/session", "/session/format", format="pickle").status_code == 400
    assert '<span id="format">tagged-json</span>' in browser.get("/session").text


def test_the_shop_would_lose_no_session_of_what_is_locked() -> None:
    assert main(["check", "--file", str(ROOT / "examples" / "shop.lock.json")]) == 0


async def test_a_customer_sees_the_other_sessions_and_ends_them() -> None:
    app = create_app("memory://")
    here, elsewhere, watcher = (app.test_client() for _ in range(3))
    for client in (here, elsewhere):
        await enter(client)
    assert "Log out everywhere else" in await html_of(here, "/session")
    response = await here.post("/session/others/end", form={"csrf_token": await token_of(here)})
    assert response.status_code == 303
    assert "You are logged out everywhere else." in await html_of(here, "/session")
    assert "Log out everywhere else" not in await html_of(here, "/session")
    assert 'class="who">Ada' in await html_of(here, "/")
    assert 'class="who">Ada' not in await html_of(elsewhere, "/")
    assert "Where you are logged in" not in await html_of(watcher, "/session")


async def test_sessions_in_cookies_cannot_be_ended_from_elsewhere() -> None:
    app = create_app()
    client = app.test_client()
    await enter(client)
    assert "Where you are logged in" not in await html_of(client, "/session")
    response = await client.post("/session/others/end", form={"csrf_token": await token_of(client)})
    assert response.status_code == 404


async def test_an_identifier_is_on_no_page() -> None:
    client = create_app("memory://").test_client()
    entered = await enter(client)
    identifier = entered.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    assert len(identifier) == 43
    for path in PAGES:
        assert identifier not in await html_of(client, path)
    assert "*" * 43 in await html_of(client, "/session")


async def enter(client: QuartClient) -> Response:
    response: Response = await client.post("/login", headers={"Origin": "http://localhost"}, form={"name": "Ada"})
    return response


async def token_of(client: QuartClient) -> str:
    async with sessions.transaction(client) as session:
        return session.data.csrf_token


async def html_of(client: QuartClient, path: str) -> str:
    return str(await (await client.get(path)).get_data(as_text=True))


async def test_a_websocket_to_nowhere_is_not_found() -> None:
    with pytest.raises(WebsocketResponseError) as refused:
        async with create_app().test_client().websocket("/nowhere") as websocket:
            await websocket.receive()
    assert refused.value.response.status_code == 404
