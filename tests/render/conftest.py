from __future__ import annotations

import shutil
import time

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    if shutil.which(CHROMIUM) is None:
        pytest.fail(f"The tests of the page need Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def wait_until(page, expression, seconds=30.0):
    """Until a JavaScript expression is true; the page's policy forbids playwright's own way."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def scroll(page):
    """To the end of a page and back: what is drawn when it is scrolled to is drawn."""
    for slot in page.locator(".slot:not([hidden])").all():
        slot.scroll_into_view_if_needed()
        name = slot.get_attribute("data-slot")
        wait_until(
            page,
            f"((slot) => !slot.querySelector('.skeleton') && !slot.classList.contains('asking'))"
            f"(document.querySelector('[data-slot={name}]'))",
        )
    page.evaluate("window.scrollTo(0, 0)")


@pytest.fixture(scope="session")
def until():
    return wait_until


@pytest.fixture(scope="session")
def scrolled():
    return scroll
