"""The demo in a real browser: `pytest -m browser`. It needs Chromium, and says so where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from examples.shop.trials import TRIALS
from tests.browser.chromium import NOT_INSTALLED, chromium, executable
from tests.serving import serving_shop

pytestmark = pytest.mark.browser

SIZES = {"phone": ViewportSize(width=390, height=844), "desktop": ViewportSize(width=1440, height=900)}
PAGES = ["/", "/products/sencha", "/cart", "/login", "/session", "/unknown"]
expect.set_options(timeout=10_000)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_shop(tmp_path_factory.mktemp("shop") / "log", "the secret key of the shop in a browser") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if executable() is None:
        pytest.fail(NOT_INSTALLED)
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Open the shop as a new visitor. What a page complains of to the console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_shop(path: str = "/", **settings: object) -> Page:
        context = browser.new_context(base_url=url, reduced_motion="reduce", **settings)  # type: ignore[arg-type]
        contexts.append(context)
        context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(path)
        return page

    yield open_shop
    for context in contexts:
        start_over(context.pages[0])
        context.close()
    assert [each for each in complaints if "the server responded with" not in each] == []


def start_over(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Start over").click()
    expect(contents(page)).not_to_contain_text("CartItem(")


def contents(page: Page) -> Locator:
    return page.locator("#seen .code")


def changes(page: Page) -> Locator:
    return page.get_by_role("log").get_by_role("listitem")


def add(page: Page, tea: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=tea).click()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.get_by_role("heading", name="Your cart")).to_be_visible()


def log_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Your name").fill(name)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("status").filter(has_text=f"Welcome, {name}.")).to_be_visible()


def run_trials(page: Page) -> None:
    for trial in TRIALS:
        row = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=trial.title, exact=True))
        row.get_by_role("button", name=trial.button).click()
        expect(row.locator(".verdict")).to_have_class("verdict passed")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)


def cookie_of(page: Page) -> str:
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    return cookie["value"]


def test_a_click_shows_what_it_has_changed(visit: Callable[..., Page]) -> None:
    page = visit()
    expect(page.get_by_role("complementary")).to_contain_text("Whoever only looks around gets no cookie.")
    expect(changes(page)).to_have_count(0)
    add(page, "Harbour Sencha")
    expect(contents(page)).to_contain_text(
        "CartItem(sku='sencha', name='Harbour Sencha', price=Decimal('11.50'), quantity=1)"
    )
    expect(changes(page).first).to_contain_text("Add to cart")
    expect(changes(page).first).to_contain_text("added cart[sencha] CartItem(")
    page.get_by_label("Tins of Harbour Sencha").fill("5")
    page.get_by_role("button", name="Update Harbour Sencha").click()
    expect(changes(page).first).to_contain_text("changed cart[sencha].quantity 1 → 5")
    expect(page.locator(".fresh")).to_have_text("5")
    page.get_by_role("link", name="Log in").click()
    expect(changes(page).first).to_contain_text("Nothing changed. The cookie is the same.")
    log_in(page, "Grace")
    expect(changes(page).first).to_contain_text("added user 'Grace'")
    page.get_by_role("button", name="Log out").click()
    expect(changes(page).first).to_contain_text("removed user 'Grace'")
    expect(changes(page).first).to_contain_text("The cookie is gone.")


def test_the_cookie_that_is_shown_is_that_of_the_browser(visit: Callable[..., Page]) -> None:
    page = visit()
    add(page, "Harbour Sencha")
    expect(page.locator("#raw .raw")).to_have_text(cookie_of(page))
    expect(page.get_by_role("complementary").get_by_role("definition").nth(1)).to_have_text("tagged-json")
    page.get_by_role("button", name="Restart", exact=True).click()
    expect(page.locator("#raw .raw")).to_have_text("*" * 43)
    assert len(cookie_of(page)) == 43


@pytest.mark.parametrize("size", SIZES)
def test_every_trial_passes_and_is_seen_at_once(visit: Callable[..., Page], size: str) -> None:
    page = visit(viewport=SIZES[size])
    run_trials(page)
    expect(page.get_by_role("navigation", name="Shop")).to_contain_text("Ada")
    expect(page.get_by_role("complementary")).to_contain_text("on the server, with 1 log-in of yours")
    expect(changes(page).filter(has_text="Two tabs at once")).to_contain_text("added cart[")
    page.reload()
    expect(contents(page)).to_contain_text("user: str | None = 'Ada'")


def test_trials_that_are_clicked_at_once_follow_each_other(visit: Callable[..., Page]) -> None:
    page = visit()
    for name in ("Tamper with it", "Restart", "Switch", "Add from both"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".verdict")).to_have_count(4)
    for verdict in page.locator(".verdict").all():
        expect(verdict).to_have_class("verdict passed")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_another_browser_is_logged_out_and_its_cookie_opens_nothing(visit: Callable[..., Page]) -> None:
    here, laptop = visit(), visit()
    for page in (here, laptop):
        log_in(page, "Grace")
    here.get_by_role("button", name="Restart", exact=True).click()
    expect(here.locator(".verdict")).to_have_class("verdict passed")
    for page in (laptop, here):
        page.goto("/")
        expect(page.get_by_role("navigation", name="Shop")).to_contain_text("Grace")
    copied = laptop.context.cookies()
    here.get_by_role("button", name="Log it out").click()
    expect(here.locator(".verdict")).to_have_class("verdict passed")
    laptop.context.add_cookies(copied)  # type: ignore[arg-type]  # what it gives, it takes
    laptop.reload()
    expect(laptop.get_by_role("navigation", name="Shop")).to_contain_text("Log in")
    expect(here.get_by_role("navigation", name="Shop")).to_contain_text("Grace")


def test_another_tab_shows_a_change_without_a_click(visit: Callable[..., Page]) -> None:
    page = visit()
    other = page.context.new_page()
    other.goto("/")
    add(page, "Slow Tide Oolong")
    expect(contents(other)).to_contain_text("Slow Tide Oolong")
    expect(changes(other).first).to_contain_text("Elsewhere")
    expect(other.get_by_role("navigation", name="Shop")).to_contain_text("Cart 1")


def test_everything_is_done_with_the_keyboard(visit: Callable[..., Page]) -> None:
    page = visit()

    def press_until(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.inner_text().strip() == name:
                outline = "each => getComputedStyle(each.closest('.card') ?? each).outlineStyle"
                assert focused.evaluate(outline) != "none"
                return
        pytest.fail(f"no way to {name} with the keyboard")

    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    press_until("Harbour Sencha")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Harbour Sencha")).to_be_visible()
    press_until("Add to cart")
    page.keyboard.press("Enter")
    expect(contents(page)).to_contain_text("CartItem(")
    press_until("Tamper with it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Mallory is nobody here.")).to_be_visible()
    expect(page.locator(":focus")).to_have_text("Tamper with it")


def test_a_screen_reader_finds_its_way(visit: Callable[..., Page]) -> None:
    page = visit()
    for role, name in [
        ("navigation", "Shop"),
        ("complementary", "Your session, live"),
        ("log", "What your clicks changed"),
        ("region", "Try what usually breaks"),
    ]:
        expect(page.get_by_role(role, name=name)).to_have_count(1)  # type: ignore[arg-type]
    for trial in TRIALS:
        button = page.get_by_role("button", name=trial.button, exact=True)
        expect(button).to_have_accessible_description(trial.title)


HEARD = """
window.heard = [];
let isLog = false;
new MutationObserver((records) => {
  for (const { type, target, addedNodes } of records) {
    if (type === "attributes") isLog ||= target.getAttribute("role") === "log";
    else if (isLog && target.id === "changes") addedNodes.forEach((each) => heard.push(each.firstChild.textContent));
  }
}).observe(document, { childList: true, subtree: true, attributeFilter: ["role"] });
"""
"""Notes what is added to the log of a page: that is what a screen reader reads aloud."""


def test_a_screen_reader_reads_each_change_once(visit: Callable[..., Page]) -> None:
    page = visit()
    page.context.add_init_script(HEARD)
    add(page, "Harbour Sencha")
    expect(changes(page).first).to_contain_text("Add to cart")
    shown = changes(page).count()
    assert shown > 1
    assert page.evaluate("heard") == ["Add to cart"]
    titles = [trial.title for trial in TRIALS[:2]] * 3
    for number, title in enumerate(titles, start=1):
        row = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title, exact=True))
        row.get_by_role("button").click()
        expect(changes(page)).to_have_count(min(shown + number, 6))
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert page.evaluate("heard") == ["Add to cart", *titles]
    expect(changes(page).locator("b")).to_have_text(titles[::-1])


def test_axe_finds_nothing_on_any_page_at_any_size_in_any_colours(visit: Callable[..., Page]) -> None:
    page = visit()
    add(page, "Harbour Sencha")
    log_in(page, "Grace")
    for path in PAGES:
        page.goto(path)
        if path == "/cart":
            run_trials(page)
        for size, scheme in product(SIZES, ("light", "dark")):
            page.set_viewport_size(SIZES[size])
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{path}, {size}, {scheme}: {found.generate_report()}"


def test_nothing_is_wider_than_the_screen(visit: Callable[..., Page]) -> None:
    page = visit()
    log_in(page, "x" * 40)
    for path in PAGES:
        page.goto(path)
        if path == "/cart":
            run_trials(page)
        for width in (320, 390, 768, 1024, 1440):
            page.set_viewport_size(ViewportSize(width=width, height=800))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
def test_the_page_follows_the_colours_of_the_system(visit: Callable[..., Page], scheme: str, *, darker: bool) -> None:
    page = visit(color_scheme=scheme)
    shades = "each => getComputedStyle(each).{}.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)"
    root = page.locator("html")
    background, ink = (root.evaluate(shades.format(name)) for name in ("backgroundColor", "color"))
    assert (background < ink) is darker


def test_without_scripts_it_is_a_shop(visit: Callable[..., Page]) -> None:
    page = visit(java_script_enabled=False)
    add(page, "Harbour Sencha")
    log_in(page, "Grace")
    expect(contents(page)).to_contain_text("'Grace'")
    expect(page.get_by_text("The buttons need JavaScript.")).to_be_visible()
    expect(page.locator("[data-trial]:visible")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("status").filter(has_text="You are logged out")).to_be_visible()


def test_a_shop_that_does_not_answer_is_said(visit: Callable[..., Page]) -> None:
    page = visit()
    page.route("**/demo/trials/*", lambda route: route.fulfill(status=503))
    page.get_by_role("button", name="Tamper with it").click()
    expect(page.get_by_role("status").filter(has_text="The shop did not answer (503).")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
