"""What the buttons of the demo try: requests of several browsers, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from attrs import Factory, define, field, frozen

from examples.shop import FORMATS, MAX_QUANTITY, PRODUCTS, Visitor, next_release
from examples.shop.browser import Browser, Step
from examples.shop.deployment import Deployment

CUSTOMER: Final = "Ada"
SETTINGS: Final = ("SECRET_KEY", "SESSION_SERIALIZER", "SESSION_STORE", "SESSION_ADOPT_SIGNED_BEFORE")
"""The settings that two releases must agree on to open each other's sessions."""

PATIENCE: Final = 5.0
"""Seconds that requests wait for each other."""

_meeting: ContextVar[asyncio.Barrier | None] = ContextVar("_meeting", default=None)


@contextmanager
def meeting(parties: int) -> Generator[None]:
    """Have all requests that are begun within wait for each other, once their sessions are loaded."""
    token = _meeting.set(asyncio.Barrier(parties))
    try:
        yield
    finally:
        _meeting.reset(token)


async def meet() -> None:
    """Wait for the others. The demo has this called before each request is handled."""
    barrier = _meeting.get()
    if barrier is not None:
        await asyncio.wait_for(barrier.wait(), PATIENCE)


@define
class Scene:
    """Those who take part in a trial, at the shop that is served.

    Args:
        deployment: what they visit.
        cookie: the session cookie of the visitor's own browser.
        steps: what they did.
    """

    deployment: Deployment
    cookie: str | None
    steps: list[Step] = Factory(list[Step])
    you: Browser = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.you = self.browser("You", self.cookie)

    def browser(self, who: str, cookie: str | None = None) -> Browser:
        return Browser(who, lambda: self.deployment.app, self.steps, cookie)

    def add(self, who: str, did: str, came: str) -> None:
        self.steps.append(Step(who, did, came))

    async def move_to_server(self) -> None:
        """Keep sessions on the server from now on, and take in those that are in signed cookies."""
        database = self.deployment.config["SESSION_STORE"] or self.deployment.config["DEMO_DATABASE"]
        await self.deployment.restart(store=database, SESSION_ADOPT_SIGNED_BEFORE=datetime.now(UTC))
        self.add("The shop", "restarts, with sessions on the server", "another application object, the same secret key")

    async def be_on_server(self) -> None:
        if self.deployment.config["SESSION_STORE"] is None:
            await self.move_to_server()

    async def have_cart(self) -> Visitor:
        """Return what the shop knows of you. If there is nothing in your cart, put something there first."""
        visitor = await self.you.visitor()
        if visitor is None or not visitor.cart:
            await self.you.post("/cart/sencha", quantity="1")
            visitor = await self.you.visitor()
        return visitor or Visitor()

    async def log_in(self) -> str:
        """Return the name under which you are logged in. If you are not, log in first."""
        visitor = await self.you.visitor()
        if visitor is not None and visitor.user is not None:
            return visitor.user
        await self.you.post("/login", name=CUSTOMER)
        return CUSTOMER


@frozen
class Verdict:
    """What a trial has shown."""

    passed: bool
    text: str
    """What to say if it has passed."""


async def change_the_cookie(scene: Scene) -> Verdict:
    before = await scene.have_cart()
    cookie = scene.you.cookie or ""
    at = len(cookie) // 4
    forged = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
    mallory = scene.browser("Mallory", forged)
    scene.add("Mallory", f"changes character {at + 1} of your cookie", "and sends it")
    await mallory.get("/cart")
    passed = await mallory.visitor() is None and await scene.you.visitor() == before
    return Verdict(passed, "Mallory is nobody here. Your own cookie is as good as before.")


async def switch_the_format(scene: Scene) -> Verdict:
    before = await scene.have_cart()
    former = scene.deployment.config["SESSION_SERIALIZER"]
    name = FORMATS[(FORMATS.index(former) + 1) % len(FORMATS)]
    await scene.deployment.restart(SESSION_SERIALIZER=name)
    scene.add("The shop", f"restarts, and writes {name}", "another application object, the same secret key")
    await scene.you.get("/cart")
    read = await scene.you.visitor()
    sku = least(before)
    await scene.you.post(f"/cart/{sku}", quantity="1")
    passed = read == before and await cart_of(scene.you) == with_one_more(before, sku)
    return Verdict(passed, f"It was read as {former}, and is written as {name} since your cart has changed.")


async def open_in_the_next_release(scene: Scene) -> Verdict:
    await scene.have_cart()
    user = await scene.log_in()
    before = await scene.you.visitor()
    config = scene.deployment.config
    following = next_release.create_app(**{name: config.get(name) for name in SETTINGS})
    there = Browser("You, there", lambda: following, scene.steps, scene.you.cookie)
    scene.add(
        "The next release",
        "starts beside this one",
        "with the same secret key; user is called customer, and logged_in_at is a date",
    )
    async with next_release.sessions:  # which closes its store
        shown = await (await there.get("/")).get_data(as_text=True)
    await scene.you.get("/cart")
    scene.add("The next release", "has read", shown)
    passed = f"customer={user!r}" in shown and "gift_wrapped=False" in shown and await scene.you.visitor() == before
    return Verdict(
        passed,
        "You are logged in there, with your cart. Only the field whose type has changed was reset, "
        "and this release still reads your session.",
    )


async def restart_on_sqlite(scene: Scene) -> Verdict:
    before = await scene.have_cart()
    await scene.move_to_server()
    await scene.you.get("/cart")
    passed = await scene.you.visitor() == before
    return Verdict(passed, "Your cart has moved with you. Your cookie is an identifier of 43 characters now.")


async def add_from_two_tabs(scene: Scene) -> Verdict:
    await scene.be_on_server()
    before = await scene.have_cart()
    teas = sorted(PRODUCTS, key=lambda sku: quantity(before, sku))[:2]
    tabs = [scene.browser(f"Tab {number}", scene.you.cookie) for number in (1, 2)]
    with meeting(len(tabs)):
        await asyncio.gather(
            *(tab.send(f"/cart/{sku}", before, quantity="1") for tab, sku in zip(tabs, teas, strict=True))
        )
    await scene.you.get("/cart")
    passed = await cart_of(scene.you) == with_one_more(before, *teas)
    names = " and ".join(PRODUCTS[sku].name for sku in teas)
    return Verdict(passed, f"{names} are both in your cart: the later tab was merged into the earlier one.")


async def replay_after_log_out(scene: Scene) -> Verdict:
    await scene.be_on_server()
    laptop = scene.browser("Ada's laptop")
    await laptop.post("/login", name=CUSTOMER)
    stolen = laptop.cookie
    scene.add("Mallory", "copies the cookie of the laptop", "nobody notices")
    await laptop.post("/logout")
    mallory = scene.browser("Mallory", stolen)
    await mallory.get("/cart")
    passed = await mallory.visitor() is None
    return Verdict(passed, "The copy opens nothing: the log-out has ended the session itself.")


async def log_out_the_other_device(scene: Scene) -> Verdict:
    await scene.be_on_server()
    user = await scene.log_in()
    laptop = scene.browser("Your laptop")
    await laptop.post("/login", name=user)
    await scene.you.post("/session/others/end")
    await laptop.get("/cart")
    you = await scene.you.visitor()
    passed = await laptop.visitor() is None and you is not None and you.user == user
    return Verdict(passed, "The laptop is logged out. You are still here.")


def quantities(visitor: Visitor) -> dict[str, int]:
    return {item.sku: item.quantity for item in visitor.cart}


def quantity(visitor: Visitor, sku: str) -> int:
    return quantities(visitor).get(sku, 0)


def with_one_more(visitor: Visitor, *teas: str) -> dict[str, int]:
    """Return what a cart has when one tin of each of these teas is added, as far as there is room for it."""
    return quantities(visitor) | {sku: min(quantity(visitor, sku) + 1, MAX_QUANTITY) for sku in teas}


def least(visitor: Visitor) -> str:
    """Return the tea of which a cart has least, so that one more has room."""
    return min(PRODUCTS, key=lambda sku: quantity(visitor, sku))


async def cart_of(browser: Browser) -> dict[str, int]:
    return quantities(await browser.visitor() or Visitor())


@frozen
class Trial:
    """A button of the demo."""

    run: Callable[[Scene], Awaitable[Verdict]]
    title: str
    question: str
    button: str
    elsewhere: str
    """What becomes of it with Quart's own sessions."""

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")


TRIALS: Final = (
    Trial(
        change_the_cookie,
        title="Change the cookie",
        question="Mallory edits one character of your cookie.",
        button="Tamper with it",
        elsewhere="Refused as well. No log says why.",
    ),
    Trial(
        switch_the_format,
        title="Switch the format",
        question="The shop restarts, and writes sessions in another format.",
        button="Switch",
        elsewhere="Another serializer logs everybody out.",
    ),
    Trial(
        open_in_the_next_release,
        title="Change the class",
        question="A release renames one field, changes the type of another, and adds two.",
        button="Open your session there",
        elsewhere="Whoever was logged in under the former name is not any more.",
    ),
    Trial(
        restart_on_sqlite,
        title="Restart on SQLite",
        question="The shop restarts, and keeps sessions on the server from now on.",
        button="Restart",
        elsewhere="There is no store. With an extension, all carts are empty.",
    ),
    Trial(
        add_from_two_tabs,
        title="Two tabs at once",
        question="Two tabs add a tea each. Both have read the cart before either writes it.",
        button="Add from both",
        elsewhere="The later answer wins. The other tea is lost.",
    ),
    Trial(
        replay_after_log_out,
        title="Replay after log-out",
        question="Mallory has copied the cookie of a laptop. Then its owner logs out.",
        button="Send the copy",
        elsewhere="The copy is logged in, for up to 31 days.",
    ),
    Trial(
        log_out_the_other_device,
        title="Log out the other device",
        question="You are logged in here, and on the laptop that you left on a train.",
        button="Log it out",
        elsewhere="Nobody knows which cookies there are, so none can be ended.",
    ),
)
