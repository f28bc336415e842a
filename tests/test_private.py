"""Tests set no private attribute of the code that they test: they use its arguments, constants and public methods."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIBRARIES = {
    "actors/webrtc/test_connection.py": {"_connection", "_send", "_tie_breaker"},  # the viewer, which is aiortc
    "actors/webrtc/test_path.py": {"_connection", "_use_ipv6"},  # aioice, which has no setting for it
    "kit/cases/viewer.py": {"_connection", "_handle_rtp_data"},  # aiortc without its decoders
    "sim/chance.py": {"_ALLOW_DETERMINISTIC_SCHEDULING"},  # trio, as hypothesis-trio does
}
"""Private attributes of libraries that tests set."""
CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
"""Methods that change a collection."""


def private_in(node: ast.expr) -> Iterator[str]:
    """The private attributes on the way to a value, except those of `self`."""
    while True:
        match node:
            case ast.Attribute(value=inner, attr=name):
                own = isinstance(inner, ast.Name) and inner.id in ("self", "cls")
                if is_private(name) and not own:
                    yield name
                node = inner
            case ast.Subscript(value=inner) | ast.Call(func=ast.Name("vars"), args=[inner]) | ast.Call(func=inner):
                node = inner
            case _:
                return


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_sets(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each private attribute that is set, deleted or changed, with its line."""
    for node in ast.walk(tree):
        found: list[str] = []
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                found = [*private_in(node)]
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr") | ast.Name("setattr" | "delattr"), args=args):
                texts = [arg.value for arg in args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                found = [part for text in texts for part in text.split(".") if is_private(part)]
            case ast.Call(func=ast.Attribute(attr="setitem" | "delitem"), args=[held, *_]):
                found = [*private_in(held)]
            case ast.Call(func=ast.Attribute(value=held, attr=method)) if method in CHANGES:
                found = [*private_in(held)]
        yield from ((getattr(node, "lineno", 0), name) for name in found)


def test_tests_set_no_private_attribute() -> None:
    """A test that sets one fails with each change inside, and may test a state that cannot occur."""
    used: dict[str, set[str]] = {}
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        where = path.relative_to(TESTS).as_posix()
        for line, name in private_sets(ast.parse(path.read_text())):
            if name in LIBRARIES.get(where, ()):
                used.setdefault(where, set()).add(name)
            else:
                found.append(f"tests/{where}:{line}: {name}")
    assert found == []
    assert used == LIBRARIES


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("store._at = 1", ["_at"]),
        ("store._at += 1", ["_at"]),
        ("one, store._at = 1, 2", ["_at"]),
        ("del store._at", ["_at"]),
        ("store._known['name'] = 1", ["_known"]),
        ("store._known.pop('name')", ["_known"]),
        ("store._watch.exact = {}", ["_watch"]),
        ("vars(store._watch)['exact'] = {}", ["_watch"]),
        ("monkeypatch.setattr(store, '_at', 1)", ["_at"]),
        ("monkeypatch.setattr('supervisor.journal.store._at', 1)", ["_at"]),
        ("monkeypatch.setitem(store._known, 'name', 1)", ["_known"]),
        ("setattr(store, '_at', 1)", ["_at"]),
        ("self._at = 1", []),
        ("store.at = store._at", []),
        ("self._lines.append(1)", []),
        ("monkeypatch.setattr('sys.argv', ['_at'])", []),
        ("store.__class__ = Other", []),
    ],
)
def test_each_way_to_set_a_private_attribute_is_found(code: str, names: list[str]) -> None:
    """By assignment, by deletion, inside a collection, and by a name in a text; reading is allowed."""
    assert [name for _, name in private_sets(ast.parse(code))] == names
