"""A page in headless Chromium, for tests of what a user sees: it must work from disk, without a word on the console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TWICE = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}"""
PATIENCE = 30_000
"""Milliseconds that a busy machine may take for anything."""
expect.set_options(timeout=PATIENCE)

__all__ = ["Browser", "Page", "chromium", "expect", "opened", "pushes_sideways", "running"]


def chromium() -> str:
    """Path of a Chromium; the test is skipped where there is none."""
    browsers = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not browsers:
        pytest.skip("needs a browser: chromium, chromium-browser or google-chrome on the PATH")
    return browsers[0]


@contextmanager
def running() -> Iterator[Browser]:
    """A browser that is started and ended."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, path: Path, theme: Literal["light", "dark"] = "light", width: int = 1280, height: int = 900
) -> Iterator[Page]:
    """Open a page from disk, without a network.

    Raises
    ------
    AssertionError
        Two elements have one id; or, when the block ends, the page has asked for something, or has put a word
        on the console.
    """
    messages: list[str] = []
    requests: list[str] = []
    with browser.new_context(color_scheme=theme, viewport={"width": width, "height": height}, offline=True) as context:
        context.set_default_timeout(PATIENCE)
        shown = context.new_page()
        shown.on(
            "console",
            lambda message: messages.append(f"{message.type}: {message.text}") if message.type != "log" else None,
        )
        shown.on("pageerror", lambda error: messages.append(f"uncaught: {error}"))
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(path.resolve().as_uri())
        twice = shown.evaluate(TWICE)
        assert not twice, f"ids that occur twice: {twice}"
        yield shown
        shown.wait_for_timeout(50)  # what is still on its way to the console
    assert not messages, messages
    others = {url for url in requests if not url.startswith(("data:", "blob:"))} - {path.resolve().as_uri()}
    assert not others, others


def pushes_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
