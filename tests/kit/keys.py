"""Keyboard keys as the DevTools Protocol wants them: `Enter`, `Escape`, `a`, `Shift+Tab`, `Control+k`."""

from __future__ import annotations

from typing import Any

MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}

# name → (windowsVirtualKeyCode, text); without its text a key moves no focus and presses no button
NAMED: dict[str, tuple[int, str]] = {
    "Backspace": (8, ""),
    "Tab": (9, "\t"),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Space": (32, " "),
    "PageUp": (33, ""),
    "PageDown": (34, ""),
    "End": (35, ""),
    "Home": (36, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
    "Delete": (46, ""),
    **{f"F{number}": (111 + number, "") for number in range(1, 13)},
}


def key_events(combination: str) -> list[dict[str, Any]]:
    """The events of one stroke, modifiers held around it, for `Input.dispatchKeyEvent`.

    `combination` is a key's name or one character, with modifiers and `+` before it. ValueError for an unknown name.
    """
    *held, name = combination.split("+") if len(combination) > 1 else [combination]
    if unknown := [modifier for modifier in held if modifier not in MODIFIERS]:
        raise ValueError(f"unknown modifier {unknown[0]!r} in {combination!r}; known: {', '.join(MODIFIERS)}")
    bits = sum(MODIFIERS[modifier] for modifier in held)
    key = _describe(name)
    if set(held) - {"Shift"}:
        key.pop("text", None)  # Control+a types nothing
    downs = [{"type": "keyDown", "key": modifier, "code": f"{modifier}Left"} for modifier in held]
    ups = [{"type": "keyUp", "key": modifier, "code": f"{modifier}Left"} for modifier in reversed(held)]
    down = {"type": "keyDown" if "text" in key else "rawKeyDown", **key, "modifiers": bits}
    up = {"type": "keyUp", **{name: value for name, value in key.items() if name != "text"}, "modifiers": bits}
    return [*downs, down, up, *ups]


def _describe(name: str) -> dict[str, Any]:
    if name in NAMED:
        number, text = NAMED[name]
        key = {"key": " " if name == "Space" else name, "code": name, "windowsVirtualKeyCode": number}
        return key | ({"text": text} if text else {})
    if len(name) != 1:
        raise ValueError(f"unknown key {name!r}; known: one character, {', '.join(NAMED)}")
    code = f"Key{name.upper()}" if name.isalpha() and name.isascii() else f"Digit{name}" if name.isdecimal() else ""
    return {"key": name, "code": code, "text": name, "windowsVirtualKeyCode": ord(name.upper()) if code else 0}
