"""One pass over a configuration: its nodes, the places of its complaints, and text with variables.

Rules of this file:
- Nothing is ignored: an unknown key, a key that stands twice or a wrong type is a complaint.
- A complaint is collected and does not stop the pass. A configuration with any complaint is not used at all.
- `${NAME}` comes from the environment and counts as a secret: its value is never shown. The same holds for values of
  variables and options that replace a setting. A `${` that is meant as text is written `$${`; any other `${` without a
  name and a `}` is a complaint, because it would become part of a password.
- Each part of a file is bounded, since an alias may repeat it for each camera.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml
from yaml.scanner import ScannerError

from .problem_text import SHOWN, closest, kind_of, value_of, without_secrets

MAX_BRACKETS = 50
"""Depth of nested brackets. PyYAML takes seconds for a thousand."""
MAX_TEXT = 8 * 1024
"""Characters of one value."""
MAX_KEYS = 64
"""Keys of a section with known keys."""

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""Names that are shown if the variable is missing. Any other may be the password itself, written as `${password}`."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)(?P<end>\}?)")
_LIKE_A_KEY = re.compile(r"[A-Za-z_-]{1,32}")
_LITERAL = "write ${NAME} for a variable, and $${ for ${ as text"
_PRIVATE = ("detections", "journal.anchor")
"""Sections with a secret. An unknown key there is shown only if it resembles a known one."""


class Loader(yaml.SafeLoader):
    """Raises `RecursionError` for deeply nested brackets, whose cost in PyYAML grows faster than their depth."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        if self.flow_level >= MAX_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(token)


def compose(text: str, place: str = "") -> yaml.Node | None:
    """The node of a YAML text. `place` names a variable or an option that the text comes from, in place of a line.

    Raises `yaml.YAMLError`, also for a text that is nested too deeply.
    """
    loader = Loader(text)
    loader.name = place
    try:
        return loader.get_single_node()
    except RecursionError:
        raise ScannerError(None, None, "nested too deeply to be a configuration", loader.get_mark()) from None
    except (ValueError, OverflowError) as error:  # from numbers in escapes and directives, which PyYAML does not bound
        raise ScannerError(None, None, str(error), loader.get_mark()) from None
    finally:
        loader.dispose()


def scalar(text: str, place: str) -> yaml.ScalarNode:
    """A node for the text of a variable or an option, which is not read as YAML."""
    mark = yaml.Mark(place, 0, 0, 0, None, 0)
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, mark, mark)


def place_of(node: yaml.Node) -> str:
    """The variable or the option that a node comes from; empty for the file."""
    return str(node.start_mark.name or "")


class ParseContext:
    """The state of one pass over one document."""

    def __init__(self, origin: str, environ: Mapping[str, str], base: Path) -> None:
        """Paths are relative to `base`."""
        self.origin, self.environ, self.base = origin, environ, base
        self._complaints: list[tuple[str, int, str]] = []
        """The place if it is not the file, the line or 0, and the problem, which may contain a value of `secret`."""
        self.warnings: list[str] = []
        self.found: list[str] = []
        """Values taken from the environment since the current setting began."""
        self.hidden: tuple[str, ...] = ()
        """The operator's list `secret`."""

    def complain(self, node: yaml.Node | None, problem: str) -> None:
        line = 0 if node is None else node.start_mark.line + 1
        self._complaints.append(("" if node is None else place_of(node), line, problem))

    def warn(self, node: yaml.Node, problem: str) -> None:
        self.warnings.append(f"{self._at(place_of(node), node.start_mark.line + 1)}: {problem}")

    @property
    def complaints(self) -> list[str]:
        """All complaints in the order of their lines. Values of the list `secret` are hidden, wherever it is."""
        found = sorted(self._complaints, key=lambda each: each[:2])
        return [f"{self._at(place, line)}: {without_secrets(problem, self.hidden)}" for place, line, problem in found]

    def _at(self, place: str, line: int) -> str:
        return place or f"{self.origin}{f':{line}' if line else ''}"

    def mapping(
        self,
        node: yaml.Node | None,
        what: str,
        known: Collection[str] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> dict[str, yaml.Node]:
        """The entries of a mapping by their key. `known`: its permitted keys, with the former ones in `renamed`."""
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.complain(node, f"{what} must be a mapping of keys to values, not {kind_of(node)}")
            return {}
        entries: dict[str, yaml.Node] = {}
        lines: dict[str, int] = {}
        if known is not None and len(node.value) > MAX_KEYS:
            self.complain(node, f"{what} has {len(node.value)} keys; known: {', '.join(known)}")
            return entries
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if renamed and name in renamed:
                self.warn(key, f"{name} of {what} is now called {renamed[name]}; `banken check --rewrite` renames it")
                name = renamed[name]
            if not name or len(name) > SHOWN:
                self.complain(key, f"a key of {what} must be text, not {kind_of(key)}")
            elif name == "<<":
                self.complain(key, f"{what} has a merge key <<, which is not supported; write out the keys")
            elif known is not None and name not in known:
                self._unknown(key, name, what, known)
            elif name in entries:
                noun = "camera" if what == "cameras" else "key"
                self.complain(key, f"duplicate {noun} {name!r}; the first is on line {lines[name]}")
            else:
                entries[name], lines[name] = value, key.start_mark.line + 1
        return entries

    def _unknown(self, key: yaml.Node, name: str, what: str, known: Collection[str]) -> None:
        close = closest(name, known)
        named = f" {name!r}" if close or (what not in _PRIVATE and _LIKE_A_KEY.fullmatch(name)) else ""
        meant = f"did you mean {close!r}? " if close else ""
        self.complain(key, f"unknown key{named} in {what}; {meant}known: {', '.join(known)}")

    def text(self, node: yaml.Node, what: str) -> str | None:
        """The text of a scalar, with its variables replaced; None after a complaint."""
        if node.tag.startswith("!"):
            self.complain(node, f"{what} has a tag, a word behind !, which means nothing here")
        place = place_of(node)
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null" or node.value == "":
            self.complain(node, f"{what} must be text, not {kind_of(node)}")
        elif len(node.value) > MAX_TEXT:
            self.complain(node, f"{what} has {len(node.value)} characters; at most {MAX_TEXT} are allowed")
        elif (value := str(node.value) if place else self._expanded(node, what)) is None:
            pass
        elif not value.isprintable():
            self.complain(node, f"{what} has characters that cannot be printed")
        else:
            return value
        return None

    def _expanded(self, node: yaml.ScalarNode, what: str) -> str | None:
        """The text with its variables replaced, in one pass; None after a complaint."""
        values = [self._variable(node, what, reference) for reference in _REFERENCE.finditer(node.value)]
        if None in values:
            return None
        left = iter(values)
        return _REFERENCE.sub(lambda _: next(left) or "", node.value)

    def _variable(self, node: yaml.ScalarNode, what: str, reference: re.Match[str]) -> str | None:
        """The text for one `${NAME}` or `$${`; None after a complaint, which shows nothing that may be a value."""
        name = reference["name"]
        if name is None:
            return "${"
        if not reference["end"]:
            self.complain(node, f"{what} has a ${{ without its }}; {_LITERAL}")
            return None
        value = self.environ.get(name)
        if value is None and not _NAME.fullmatch(name):
            self.complain(node, f"{what} has a ${{…}} without a name of A-Z, a-z, 0-9 and _ in it; {_LITERAL}")
        elif value is None:
            shown = f" {name!r}" if _VARIABLE.fullmatch(name) else ", named like a value,"
            self.complain(node, f"the environment has no variable{shown}; set it, or write the value itself")
        elif value not in self.found:
            self.found.append(value)
        return value

    def path(self, text: str) -> Path:
        """A path; a relative one begins at `base`."""
        return self.base / Path(text).expanduser()

    def shown(self, node: yaml.Node, value: str) -> str:
        """A wrong value for a complaint."""
        return value_of(value, self.hides(node, value))

    def hides(self, node: yaml.Node, value: str) -> list[str]:
        """Texts that a complaint about `value` must hide: all of it, if it comes from a variable or an option."""
        return [*self.found, *([value] if place_of(node) else [])]
