"""The pictures of the demo in the documentation. By hand: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize

from tests.browser.chromium import chromium
from tests.serving import ROOT, serving_shop

FOLDER: Final = ROOT / "docs" / "tutorial"
SIZE: Final = ViewportSize(width=1280, height=860)


def take(page: Page) -> None:
    page.goto("/products/sencha")
    page.get_by_label("Tins").fill("2")
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Your name").fill("Grace")
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.locator(".fresh").first.wait_for()
    page.screenshot(path=FOLDER / "demo.png")
    for name in ("Tamper with it", "Add from both"):
        page.get_by_role("button", name=name).click()
        row = page.locator("#trials li").filter(has=page.get_by_role("button", name=name))
        row.locator(".verdict").wait_for()
        row.evaluate("each => each.scrollIntoView({ block: 'center' })")
    page.locator(".fresh").first.wait_for()
    page.screenshot(path=FOLDER / "demo-trials.png")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving_shop(Path(folder, "log"), "the key of a picture") as url,
        chromium() as browser,
    ):
        take(browser.new_page(base_url=url, viewport=SIZE, reduced_motion="reduce"))


if __name__ == "__main__":
    main()
