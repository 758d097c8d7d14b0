"""Debian's Chromium, driven by playwright: one browser for a whole file of tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Where Chromium is; without it these tests fail, for nothing else reads what the page shows."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "these tests drive Chromium, which is not installed: apt-get install chromium"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. playwright's own is never looked for: nothing is downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page, with what it must never do written down: requests, console messages, uncaught errors."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self.context = browser.new_context(**options)
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.route("**/*", self._route)
        self.page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

    def _route(self, route: object) -> None:
        url = route.request.url
        if url.startswith("file://"):
            route.continue_()
        else:
            self.requests.append(url)
            route.abort()

    def open(self, path: Path, address: str = "") -> Page:
        self.page.goto("about:blank")
        self.page.goto(path.absolute().as_uri() + (f"#{address}" if address else ""))
        return self.page

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
