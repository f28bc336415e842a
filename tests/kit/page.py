"""One page in a real Chromium, as a user and a debugger see it.

Rules of this file:
1. Clicks and keys are the browser's own input events: what is covered, hidden or disabled cannot be clicked.
2. Nothing waits without a bound, and an error says what the page showed: expression, last value, console.
3. Console messages of the page and failed requests are kept, the newest 500 of each.
"""

from __future__ import annotations

import base64
import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from os import PathLike
from typing import Any, Literal

import attrs
import trio

from .devtools import COMMAND_SECONDS, SESSION_ENDED, DevTools, DevToolsError, Json, PageGone
from .keys import key_events
from .patience import PATIENCE, give_up_after

KEPT = 500
REQUESTS_KEPT = 2000
POLL_SECONDS = 0.02
MOMENT = {"dom": "DOMContentLoaded", "load": "load"}


class JavaScriptError(Exception):
    """The page's code threw; the message has what was thrown and where."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind  # the class that was thrown, as `TypeError`


class NavigationError(Exception):
    """The address could not be opened (`net::ERR_CONNECTION_REFUSED`)."""


@attrs.frozen
class ConsoleLine:
    """`kind`: log, info, warning, error …; `uncaught` for an exception nobody caught; `dialog` for alert() and such;
    `browser` for Chromium's own words.
    """

    kind: str
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"[{self.kind}] {self.text}" + (f" ({self.where})" if self.where else "")


@attrs.frozen
class Failure:
    """A request that did not succeed: a network error, or `HTTP 404`. `canceled`: the page itself gave it up."""

    url: str
    error: str
    canceled: bool = False


class Page:
    """Made by `Browser.open_page`."""

    def __init__(self, devtools: DevTools, target: str, session: str) -> None:
        self.console: deque[ConsoleLine] = deque(maxlen=KEPT)
        self.failures: deque[Failure] = deque(maxlen=KEPT)
        self._devtools = devtools
        self._target = target
        self._session = session
        self._urls: OrderedDict[str, str] = OrderedDict()
        self._document = ""  # the loader of the main frame's document
        self._reached: set[str] = set()  # what that document has come to: init, DOMContentLoaded, load …
        self._progress = trio.Event()
        self._gone = trio.Event()
        self._listeners: dict[str, Callable[[Json], None]] = {}
        devtools.listen(session, self._hear)

    @property
    def closed(self) -> bool:
        """True once the page is gone: closed, crashed, or with its browser."""
        return self._gone.is_set()

    async def command(self, method: str, params: Json | None = None, within: float = COMMAND_SECONDS) -> Json:
        """Any DevTools command for this page. Errors as in `DevTools.send`."""
        if self.closed:
            raise PageGone(f"{method}: the page is gone")
        return await self._devtools.send(method, params, session=self._session, within=within)

    def listen(self, method: str, handler: Callable[[Json], None]) -> None:
        """A DevTools event goes to `handler`, too, which may not wait."""
        self._listeners[method] = handler

    # where it is

    async def enable(self) -> None:
        """Begin to hear of everything; before the first navigation, so that nothing is missed."""
        await self.command("Page.enable")
        await self.command("Page.setLifecycleEventsEnabled", {"enabled": True})
        self._document = (await self.command("Page.getFrameTree"))["frameTree"]["frame"]["loaderId"]
        for domain in ("Runtime", "Network", "Log", "Inspector"):
            await self.command(f"{domain}.enable")
        await self.command("Emulation.setFocusEmulationEnabled", {"enabled": True})

    async def goto(self, url: str, until: Literal["dom", "load"] = "dom", within: float = 15.0) -> None:
        """Open `url` and wait for DOMContentLoaded (module scripts have run) or `load` (a stream may never end).

        Raises NavigationError, TimeoutError.
        """
        before = self._document
        answer = await self.command("Page.navigate", {"url": url}, within)
        if error := answer.get("errorText"):
            raise NavigationError(f"{url}: {error}")
        if "loaderId" in answer:  # otherwise only the fragment changed, and nothing will be loaded
            await self._wait_document(before, until, url, within)

    async def reload(self, until: Literal["dom", "load"] = "dom", within: float = 15.0) -> None:
        """Reload as F5 does, and wait as `goto` does."""
        before = self._document
        await self.command("Page.reload", within=within)
        await self._wait_document(before, until, "the reload", within)

    async def close(self, within: float = 5.0) -> None:
        """Close as a user does: `pagehide` and `unload` run. Idempotent; silent when page or browser are gone."""
        try:
            # Not Page.close, which runs beforeunload handlers and then waits for the answer to "Leave site?".
            await self._devtools.send("Target.closeTarget", {"targetId": self._target}, within=within)
            with give_up_after(within):
                await self._gone.wait()
        except DevToolsError:
            pass  # gone already
        finally:
            self._devtools.forget(self._session)
            self._gone.set()

    async def wait_frame(self, within: float = 15.0) -> Page:
        """The frame with a page of another site, in a browser with the flag `--site-per-process`.

        No input reaches it.
        """
        found, seen = list[Json](), trio.Event()

        def hear(params: Json) -> None:
            if params["targetInfo"]["type"] == "iframe":
                found.append(params)
                seen.set()

        self.listen("Target.attachedToTarget", hear)
        attach = {"waitForDebuggerOnStart": False, "flatten": True}
        await self.command("Target.setAutoAttach", {**attach, "autoAttach": False})
        await self.command("Target.setAutoAttach", {**attach, "autoAttach": True})
        with give_up_after(within):
            await seen.wait()
        return Page(self._devtools, found[0]["targetInfo"]["targetId"], found[0]["sessionId"])

    # what it says

    async def evaluate(self, expression: str, await_promise: bool = True, within: float = COMMAND_SECONDS) -> Any:
        """Evaluate `expression` and return its JSON value; `undefined` becomes None, NaN and Infinity become floats.

        A statement needs its own function: `(() => { …; return x })()`. Raises JavaScriptError (thrown, rejected),
        DevToolsError (not serialisable, navigated meanwhile), PageGone, TimeoutError.
        """
        params = {"expression": expression, "awaitPromise": await_promise, "returnByValue": True, "userGesture": True}
        answer = await self.command("Runtime.evaluate", params, within)
        if "exceptionDetails" in answer:
            raise _javascript_error(answer["exceptionDetails"], expression)
        return _value(answer["result"])

    async def wait_for(self, expression: str, within: float = 10.0) -> Any:
        """Wait until `expression` is truthy and return its value; survives reloads.

        The value arrives as JSON: a DOM element is `{}`, which is false. Ask for `!!ELEMENT` or for a property of it.

        It is evaluated every 20 ms from outside, since timers and animation frames of a hidden page are suspended.
        An exception counts as not yet true, except a SyntaxError. TimeoutError shows the last value and the console.
        """
        last: object = "never evaluated"
        with trio.move_on_after(within * PATIENCE):
            while True:
                try:
                    if last := await self.evaluate(expression):
                        return last
                except JavaScriptError as error:
                    if error.kind == "SyntaxError":
                        raise
                    last = error
                except PageGone:
                    raise
                except DevToolsError as error:  # the context went away under us: the page is navigating
                    last = error
                await trio.sleep(POLL_SECONDS)
        raise TimeoutError(f"not within {within:g} s: {expression}\n  last value: {last!r}\n{self.describe()}")

    def describe(self) -> str:
        """The newest console lines and failures, for a message."""
        lines = [f"  console: {line}" for line in list(self.console)[-20:]] or ["  console: nothing"]
        lines += [f"  failed: {failure.url} {failure.error}" for failure in list(self.failures)[-10:]]
        return "\n".join(lines)

    # what a user does

    async def click(self, selector: str, within: float = 5.0) -> None:
        """Move the mouse to the centre of the first match and press the left button.

        Waits until the element is there, shown, enabled, at rest and not covered. TimeoutError says which is missing.
        """
        x, y = await self._wait_clickable(selector, within)
        mouse = {"x": x, "y": y, "button": "left", "clickCount": 1}
        await self.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
        await self.command("Input.dispatchMouseEvent", {"type": "mousePressed", "buttons": 1, **mouse})
        await self.command("Input.dispatchMouseEvent", {"type": "mouseReleased", "buttons": 0, **mouse})

    async def press(self, key: str) -> None:
        """Strike a key where the focus is: `Enter`, `Shift+Tab`, `Escape`, `ArrowDown`, `a` … (see `keys.py`)."""
        for event in key_events(key):
            await self.command("Input.dispatchKeyEvent", event)

    # how it looks

    async def screenshot(self, path: str | PathLike[str], full_page: bool = False) -> None:
        """Write what is shown (or the whole page, down to its end) as PNG to `path`."""
        params: Json = {"format": "png"}
        if full_page:
            size = (await self.command("Page.getLayoutMetrics"))["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": math.ceil(size["width"]), "height": math.ceil(size["height"]), "scale": 1}
            params |= {"captureBeyondViewport": True, "clip": clip}
        answer = await self.command("Page.captureScreenshot", params)
        await trio.Path(path).write_bytes(base64.b64decode(answer["data"]))

    async def set_viewport(self, width: int, height: int, scale: float = 1) -> None:
        """The inner size in CSS pixels, and how many device pixels make one of them."""
        params = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        await self.command("Emulation.setDeviceMetricsOverride", params)

    async def set_color_scheme(self, scheme: Literal["dark", "light"]) -> None:
        """Set the value of `prefers-color-scheme`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.command("Emulation.setEmulatedMedia", {"features": features})

    # inside

    async def _wait_document(self, before: str, until: Literal["dom", "load"], what: str, within: float) -> None:
        """Wait until another document than `before` has come to `until`."""
        with trio.move_on_after(within * PATIENCE):
            while self._document == before or MOMENT[until] not in self._reached:
                if self.closed:
                    raise PageGone(f"{what}: the page ended while it was loading")
                await self._progress.wait()
            return
        raise TimeoutError(f"{what} did not reach {MOMENT[until]} within {within:g} s\n{self.describe()}")

    async def _wait_clickable(self, selector: str, within: float) -> tuple[float, float]:
        found: Json = {}
        previous: Json = {}
        with trio.move_on_after(within * PATIENCE):
            while True:
                found = await self.evaluate(f"({FIND})({json.dumps(selector)})")
                if "x" in found and found == previous:  # at the same place twice: no longer moving
                    return found["x"], found["y"]
                previous = found
                await trio.sleep(POLL_SECONDS)
        why = found.get("why", "it keeps moving")
        raise TimeoutError(f"cannot click {selector!r} within {within:g} s: {why}\n{self.describe()}")

    def _hear(self, method: str, params: Json) -> None:
        if handler := self._listeners.get(method):
            handler(params)
        match method:
            case "Runtime.consoleAPICalled":
                text = " ".join(_show(argument) for argument in params["args"])
                self.console.append(ConsoleLine(params["type"], text, _top_frame(params.get("stackTrace"))))
            case "Runtime.exceptionThrown":
                error = _javascript_error(params["exceptionDetails"])
                self.console.append(ConsoleLine("uncaught", str(error)))
            case "Log.entryAdded":
                entry = params["entry"]
                self.console.append(ConsoleLine("browser", entry["text"], entry.get("url", "")))
            case "Network.requestWillBeSent":
                self._remember(params["requestId"], params["request"]["url"])
            case "Network.webSocketCreated":
                self._remember(params["requestId"], params["url"])
            case "Network.responseReceived" if params["response"]["status"] >= 400:
                response = params["response"]
                self.failures.append(Failure(response["url"], f"HTTP {response['status']}"))
            case "Network.loadingFailed":
                url = self._urls.pop(params["requestId"], "(unknown)")
                self.failures.append(Failure(url, params["errorText"], params.get("canceled", False)))
            case "Network.webSocketFrameError":
                url = self._urls.get(params["requestId"], "(unknown)")
                self.failures.append(Failure(url, params["errorMessage"]))
            case "Network.loadingFinished" | "Network.webSocketClosed":
                self._urls.pop(params["requestId"], None)
            case "Page.javascriptDialogOpening":  # the page stands still until `Page.handleJavaScriptDialog`
                self.console.append(ConsoleLine("dialog", f"{params['type']}: {params['message']}", params["url"]))
            case "Page.lifecycleEvent" if params["frameId"] == self._target:  # the main frame bears its target's id
                if params["loaderId"] != self._document:
                    self._document, self._reached = params["loaderId"], set()
                self._reached.add(params["name"])
                self._proceed()
            case method if method == SESSION_ENDED:
                self.console.append(ConsoleLine("browser", f"{params['who']} ended"))
                self._gone.set()
                self._proceed()

    def _proceed(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    def _remember(self, request: str, url: str) -> None:
        self._urls[request] = url
        while len(self._urls) > REQUESTS_KEPT:
            self._urls.popitem(last=False)


# Where to click, or why not. Run in the page.
FIND = """selector => {
  const element = document.querySelector(selector);
  if (!element) return {why: "there is no such element"};
  if (element.disabled) return {why: "it is disabled"};
  element.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height || getComputedStyle(element).visibility !== "visible") return {why: "it is not shown"};
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  let hit = document.elementFromPoint(x, y);
  while (hit && hit.shadowRoot && hit !== element) {
    const inner = hit.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === hit) break;
    hit = inner;
  }
  if (!hit) return {why: "its centre is outside of the window"};
  const label = hit.closest("label");
  if (!element.contains(hit) && !hit.contains(element) && !(label && label.control === element))
    return {why: "it is covered by " + hit.cloneNode(false).outerHTML};
  return {x, y};
}"""


def _value(result: Json) -> Any:
    if "value" in result:
        return result["value"]
    if (text := result.get("unserializableValue")) is not None:
        return int(text[:-1]) if text.endswith("n") else float(text.replace("Infinity", "inf"))
    return None


def _show(result: Json) -> str:
    """A console argument as the console would show it."""
    if "value" in result:
        value = result["value"]
        return value if isinstance(value, str) else json.dumps(value)
    return str(result.get("unserializableValue") or result.get("description") or result.get("type"))


def _javascript_error(details: Json, expression: str = "") -> JavaScriptError:
    thrown = details.get("exception", {})
    text = thrown.get("description") or _show(thrown) if thrown else details.get("text", "")
    place = f"line {details.get('lineNumber', 0) + 1}, column {details.get('columnNumber', 0) + 1}"
    if url := details.get("url"):
        place = f"{url}, {place}"
    asked = f"\n  in: {expression}" if expression else ""
    return JavaScriptError(f"{text}\n  at {place}{asked}", thrown.get("className", ""))


def _top_frame(trace: Json | None) -> str:
    frames = (trace or {}).get("callFrames", [])
    return f"{frames[0]['url']}:{frames[0]['lineNumber'] + 1}" if frames else ""
