"""The controls of the page as a browser's accessibility tree has them: a new one fails until a test presses it.

Rules of this file:
- A control is a node with a role of `ROLES`, or one that Tab stops at, whatever its role is.
- Each view and dialog is looked at twice: dark and as wide as a phone, light and as wide as a desk.
- A control is named by its `data-part`; without one, by a class or by the part that it is in.
- Of several with one name, Tab comes to one at least: among cameras and rows, keys choose the one.
"""

import re
from pathlib import Path

import attrs
import pytest

from tests.conftest import require
from tests.kit import axe
from tests.kit.chromium import Page

from .test_accessibility import (
    CAMERAS,
    DIALOGS,
    VIEWS,
    close_dialog,
    look_at_states,
    open_dialog,
    open_everything,
    show,
)

pytestmark = pytest.mark.usefixtures("chromium_here")

ROLES = {
    "button", "link", "checkbox", "radio", "switch", "slider", "spinbutton", "combobox", "listbox", "textbox",
    "searchbox", "menuitem", "tab", "DisclosureTriangle",
}  # fmt: skip
NOT_PRESSED = {"[data-part=ended-rows] summary": "a fold of the browser, without code of ours"}
"""Controls that no test presses, and the reason."""
LOOKS = (("dark", 375), ("light", 1440))
PHONE = 375
MOST_TABS = 400
SOMETIMES = {"gate": "retry", "attic": "start"}
"""Controls that a camera has in some of its states only."""
TRIES = 5


@attrs.frozen
class Control:
    """A control as the page shows it now."""

    role: str
    name: str
    """Its accessible name."""
    disabled: bool
    names: list[str]
    """Selectors by which a test may name it."""
    walked: bool
    """Whether Tab came to it, or it appeared only later."""
    stops: bool
    """Whether Tab stops at it, as its `tabindex` says."""
    small: str
    """Its size, if it is too small for a finger."""


async def controls_of(page: Page) -> list[Control]:
    """The controls that the page shows now."""
    found = []
    for node in (await page.command("Accessibility.getFullAXTree"))["nodes"]:
        facts = {each["name"]: each["value"].get("value") for each in node.get("properties", [])}
        role = node.get("role", {}).get("value", "")
        is_control = role in ROLES or (facts.get("focusable") and role not in ("RootWebArea", "option"))
        if node.get("ignored") or "backendDOMNodeId" not in node or not is_control:
            continue
        resolved = await page.command("DOM.resolveNode", {"backendNodeId": node["backendDOMNodeId"]})
        asked = {
            "objectId": resolved["object"]["objectId"],
            "functionDeclaration": "function () { return reach.control(this) }",
            "returnByValue": True,
        }
        about = (await page.command("Runtime.callFunctionOn", asked))["result"]["value"]
        if about is not None and (role in ROLES or about["stops"]):
            name = node.get("name", {}).get("value", "").strip()
            found.append(Control(role, name, bool(facts.get("disabled")), **about))
    return found


async def walk(page: Page) -> None:
    """Strike Tab until the focus comes to an element for the second time."""
    await page.evaluate("reach.walk()")
    for _ in range(MOST_TABS):
        await page.press("Tab")
        if await page.evaluate("reach.isRound()"):
            return
    raise AssertionError(f"the focus does not come round within {MOST_TABS} presses of Tab")


async def walk_tiles(page: Page) -> set[str]:
    """The names of the controls that Tab comes to when each of the cameras is the current one."""
    found: set[str] = set()
    for camera in CAMERAS:
        await page.evaluate("document.querySelector('.grid .tile[tabindex=\"0\"]').focus()")
        if await page.evaluate("document.activeElement.dataset.camera") != camera:
            await page.press("j")
        assert await page.evaluate("document.activeElement.dataset.camera") == camera
        own = f".grid .tile[data-camera={camera}] [data-part={SOMETIMES.get(camera, 'name')}]"
        for _ in range(TRIES):  # it may go while the focus is on its way
            await page.wait_for(f"document.querySelector('{own}').checkVisibility()", 30)
            await walk(page)
            found |= {each.names[0] for each in await controls_of(page) if each.walked}
            if SOMETIMES.get(camera, "name") in found:
                break
    return found


def is_pressed(control: Control, tests: str) -> bool:
    """Whether a test names the control, or it is listed with a reason."""
    patterns = (rf"""(?:data-part=|["'` ]|(?=[.#\[])){re.escape(name)}(?=["'`\]), :])""" for name in control.names)
    return any(name in NOT_PRESSED for name in control.names) or any(re.search(each, tests) for each in patterns)


async def test_every_control_has_a_name_is_reached_by_tab_and_pressed_by_a_test(tmp_path: Path) -> None:
    """In both themes. At the width of a phone it has 24 pixels, too."""
    tests = "".join(
        path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name
    )
    require(axe.missing_reason())
    found: dict[str, list[str]] = {}
    known: set[str] = set()
    async with open_everything(tmp_path) as (daemon, page):
        await page.command("Accessibility.enable")
        await page.evaluate("document.querySelector('.row-head')?.click()")
        in_tiles = await walk_tiles(page)

        async def look(where: str, *_more: str) -> None:
            reached, controls = set[str](), list[Control]()
            for _ in range(TRIES):  # a row may be drawn again while the focus is on its way
                await walk(page)
                controls = await controls_of(page)
                reached |= {each.names[0] for each in controls if each.walked or each.disabled}
                if {each.names[0] for each in controls} <= reached | in_tiles:
                    break
            for control in controls:
                wrong = {
                    "no accessible name": not control.name,
                    "not reached by Tab": control.names[0] not in reached | in_tiles,
                    f"only {control.small}": bool(control.small) and width == PHONE,
                    "pressed by no test": not is_pressed(control, tests),
                }
                known.add(control.names[0])
                for text in (text for text, is_so in wrong.items() if is_so):
                    found.setdefault(f"{control.role} {control.names}: {text}", []).append(where)

        for theme, width in LOOKS:
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.set_viewport(width, 900)
            for view in VIEWS:
                await show(page, view)
                await look(f"{view or 'wall'} at {width}")
            for name in DIALOGS:
                await open_dialog(page, name)
                if name == "large":
                    for rows in ("large-history", "large-seen-rows"):
                        await page.wait_for(f"document.querySelectorAll('[data-part={rows}] li').length > 0")
                await look(f"{name} at {width}")
                await close_dialog(page)
        await look_at_states(page, daemon, look)
    assert found == {}
    assert len(known) > 80
