# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chromium without a window: open a file, measure its layout, and take a picture of it.

::

    with Browser() as browser:
        layout = browser.open(path, width=400)
        assert layout.cut_off == []
        browser.take_picture(folder / "page.png")

The browser reaches no network, because it finds the address of no host.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root may not use it, and containers do not have it; the pages are our own
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

TIMEOUT = 60  # seconds for an answer of the browser

MAX_HEIGHT = 4000  # pixels of a picture

# Measure the page, and find what it cuts off: elements beyond its right edge, and elements that hide a part of their text.
# The content of an element that scrolls can be reached, so it is not cut off.
MEASURE = """(() => {
  const root = document.documentElement, found = [];
  const name = (e) => e.tagName.toLowerCase() + [...e.classList].map((each) => "." + each).join("");
  const scrolls = (e) => {
    for (let outer = e.parentElement; outer && outer !== document.body; outer = outer.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(outer).overflowX)) return true;
    return false;
  };
  for (const e of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || style.visibility === "hidden") continue;
    if (box.right <= 0 || box.left >= root.clientWidth) continue;
    const hidden = ["hidden", "clip"].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && e.innerText;
    if (hidden || (box.right > root.clientWidth + 1 && !scrolls(e))) found.push(name(e));
  }
  return {width: root.clientWidth, content: root.scrollWidth, cut_off: found};
})()"""


class Layout(NamedTuple):
    """The layout of a page in its window. Widths are in pixels.

    :param width: the width of the window.
    :param content: the width of the page. If it is more, the page must be scrolled to the right.
    :param cut_off: the elements that the window or an element around them cuts off, such as "td.value".
    :param requests: the addresses that the page asked for, apart from files of this machine.
    :param errors: the errors of its scripts, and of files that are missing.
    """

    width: int
    content: int
    cut_off: list[str]
    requests: list[str]
    errors: list[str]


def find_browser() -> str | None:
    """Return the path of the browser, or None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str | None:
    """Return the reason why this machine cannot open pages, or None if it can."""
    return None if find_browser() else "no Chromium (package chromium)"


class Browser:
    """A running browser with one page. Threads cannot share it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self._rest = b""

    def __enter__(self) -> Browser:
        with contextlib.ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="vcc-browser-", ignore_cleanup_errors=True))
            self._log = stack.enter_context(open(os.path.join(home, "log"), "w+b"))
            process = stack.enter_context(self._start(home, stack))
            stack.callback(self._end, process)
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime"):
                self._call(f"{domain}.enable")
            self._call("Page.setLifecycleEventsEnabled", enabled=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def open(self, page: str | Path, width: int, height: int = 900) -> Layout:
        """Open a page in a window of this width and height in pixels, and return its layout after it has loaded.

        :param page: the path of a file, or a ``file:`` address, which can have an anchor.
        """
        address = str(page) if str(page).startswith("file:") else Path(page).resolve().as_uri()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        self._call("Page.navigate", url="about:blank")  # an anchor of the page that is open would not load it again
        self._events.clear()
        started = self._call("Page.navigate", url=address)
        assert "errorText" not in started, f"{address}: {started['errorText']}"
        self._wait_for_load(started["loaderId"])
        layout = self.evaluate(MEASURE)
        urls = [event["request"]["url"] for event in self._params_of("Network.requestWillBeSent")]
        errors = [event["errorText"] for event in self._params_of("Network.loadingFailed")]
        errors += [event["exceptionDetails"]["text"] for event in self._params_of("Runtime.exceptionThrown")]
        return Layout(**layout, requests=[url for url in urls if not url.startswith(("file:", "data:"))], errors=errors)

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def emulate(self, scheme: str = "light", media: str = "screen") -> None:
        """Show the next pages in this colour scheme, light or dark, and for this medium, screen or print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)

    def take_picture(self, path: str | Path) -> None:
        """Write a picture of the whole page to a PNG file, up to 4,000 pixels of its height."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], MAX_HEIGHT), "scale": 1}
        answer = self._call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    def _start(self, home: str, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
        """Start the browser. It reads requests from the file descriptor 3, and writes answers to 4."""
        program = find_browser()
        assert program, missing()
        pipes = [*os.pipe(), *os.pipe()]
        # Numbers that are free in the shell below.
        read, self._requests, self._answers, write = (fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in pipes)
        for each in pipes:
            os.close(each)
        for each in (self._requests, self._answers):
            stack.callback(os.close, each)
        script = f'exec "$0" "$@" 3<&{read} 4>&{write} {read}<&- {write}>&-'
        process = subprocess.Popen(
            ["bash", "-c", script, program, *OPTIONS, f"--user-data-dir={home}/profile", "about:blank"],
            env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(read, write),
        )
        for each in (read, write):
            os.close(each)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let the browser end, or kill it if it does not."""
        with contextlib.suppress(AssertionError, OSError, subprocess.TimeoutExpired):
            self._session = None
            self._call("Browser.close")
            process.wait(TIMEOUT)
        process.kill()

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol, and return its result."""
        request = {"id": next(self._numbers), "method": method, "params": params}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._requests, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT
        answer: dict[str, Any] = {}
        while answer.get("id") != request["id"]:
            answer = self._receive(deadline)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _wait_for_load(self, loader: str) -> None:
        """Wait until the page of this loader, and all that it loads, are there."""
        deadline = time.monotonic() + TIMEOUT
        while {"loaderId": loader, "name": "load"} not in [
            {name: event[name] for name in ("loaderId", "name")} for event in self._params_of("Page.lifecycleEvent")
        ]:
            self._receive(deadline)

    def _params_of(self, name: str) -> list[dict[str, Any]]:
        """Return the data of the events of this name."""
        return [event["params"] for event in self._events if event["method"] == name]

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Return the next message of the browser, and keep it if it is an event."""
        while b"\0" not in self._rest:
            ready = select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))[0]
            block = os.read(self._answers, 1 << 20) if ready else b""
            if not block:
                self._log.seek(0)
                raise AssertionError(f"The browser does not answer: {self._log.read().decode(errors='replace')}")
            self._rest += block
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._events.append(message)
        return message
