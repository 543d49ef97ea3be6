"""A visitor's hands in a real browser: links that are clicked, forms that are filled in.

In: the path of a Chromium and the platform's port. Out: pages. Needs the package `playwright`;
without it, or without a Chromium, `chromium()` says so and every visitor comes by HTTP.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from lakeward.demo.acts import Fields
from lakeward.demo.client import OK, Gone, Page

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Response
    from playwright.sync_api import Page as Tab

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--no-first-run")  # fmt: skip
MILLISECONDS: Final = 30_000
SENDS_MILLISECONDS: Final = 1_500
"""For what the browser SDK has to say when a page is left."""


def chromium() -> tuple[str, str]:
    """The path of a browser, or why there is none."""
    if find_spec("playwright") is None:
        return "", "the package playwright is not installed"
    path = next(filter(None, map(shutil.which, NAMES)), "")
    return (path, "") if path else ("", "there is no Chromium on the PATH")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What the browser complains of, in a sentence."""
    from playwright.sync_api import Error

    try:
        yield
    except Error as error:
        said = error.message.strip().splitlines()[0]
        raise Gone(f"a visitor's browser got no further at {path}: {said}") from None


class Browser:
    """A running browser. Use as a context manager, in one thread."""

    def __init__(self, path: str, port: int) -> None:
        self._path, self._port = path, port

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        self._running = sync_playwright().start()
        try:
            self._browser = self._running.chromium.launch(
                executable_path=self._path, args=list(FLAGS)
            )
        except BaseException:
            self._running.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._browser.close()
        self._running.stop()

    def hands(self, referrer: str) -> BrowserHands:
        """A visitor of his own: cookies and storage are new."""
        tab = self._browser.new_context().new_page()
        tab.set_default_timeout(MILLISECONDS)
        return BrowserHands(tab, f"http://127.0.0.1:{self._port}", referrer)


class BrowserHands:
    """Hands in one tab."""

    def __init__(self, tab: Tab, origin: str, referrer: str) -> None:
        self._tab, self._origin, self._referrer = tab, origin, referrer

    def open(self, path: str) -> Page:
        """Click the link that leads there; where there is none, type the address."""
        link = self._tab.locator(f'a[href="{path}"]').first
        with _told(path):
            if link.count():
                with self._tab.expect_navigation() as went:
                    link.click()
                answer: Response | None = went.value
            else:
                answer = self._tab.goto(self._origin + path, referer=self._referrer or None)
            self._referrer = ""
            return self._seen(answer.status if answer else OK)

    def send(self, path: str, fields: Fields) -> Page:
        """Fill in the form and press its button."""
        with _told(path):
            form = self._form(path, fields)
            button = form.locator("button").first
            for name, value in fields:
                named = form.locator(f'button[name="{name}"][value="{value}"]')
                if named.count():
                    button = named
                else:
                    self._fill(form, name, value)
            if form.get_attribute("data-stream") is None:
                with self._tab.expect_navigation():
                    button.click()
                return self._seen(OK)
            with self._tab.expect_response(lambda one: urlsplit(one.url).path == path) as got:
                button.click()
            status = got.value.status
            form.locator("button:not([disabled])").first.wait_for()  # the answer is there
            return self._seen(status)

    def close(self) -> None:
        """Leave the page, and let the SDK tell of it."""
        with _told("about:blank"):
            self._tab.goto("about:blank")
            self._tab.wait_for_timeout(SENDS_MILLISECONDS)
            self._tab.context.close()

    def _form(self, path: str, fields: Fields) -> Locator:
        """The form that is sent there; of several, the one with these hidden fields."""
        form = self._tab.locator(f'form[action="{path}"]')
        for name, value in fields:
            hidden = self._tab.locator(f'input[type="hidden"][name="{name}"][value="{value}"]')
            if hidden.count():
                form = form.filter(has=hidden)
        return form.first

    def _fill(self, form: Locator, name: str, value: str) -> None:
        field = form.locator(f'[name="{name}"]').first
        if not field.count():
            return
        match field.evaluate("one => one.type"):
            case "hidden":
                return
            case "checkbox":
                box = form.locator(f'[name="{name}"][value="{value}"]')
                if box.count():
                    box.check()
            case "select-one":
                field.select_option(value)
            case _:
                field.fill(value)

    def _seen(self, status: int) -> Page:
        self._tab.wait_for_load_state("load")
        path = urlsplit(self._tab.url).path
        return Page(status, path, self._tab.content())
