"""Types of settings. Each one reads a value, and states its bounds for the reference and for the JSON schema."""

import re
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, ClassVar, Protocol

import attrs
import yaml

from ..base.redact import is_secret, redact
from ..domain.clients import is_loopback as is_loopback
from ..domain.schedule import read_window
from ..domain.words import UNITS
from .parse_context import ParseContext
from .problem_text import kind_of, number_of

Schema = dict[str, Any]

MAX_LIST = 1024
"""Entries of one list. An alias may repeat a value for each camera, so the cost of one is bounded."""
MAPPED = IPv6Network("::ffff:0:0/96")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(MiB|GiB|TiB)")
_BIT_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(k|M)")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
MOST_ENVIRONMENT, MOST_ENVIRONMENT_TEXT = 64, 16 * 1024
"""Limits of the `env` of one camera: the number of names, and the characters of all values."""


class Type(Protocol):
    word: ClassVar[str]
    """As the reference names the type."""
    is_scalar: ClassVar[bool]
    """A variable has the text as it is. Lists and mappings are written in a variable as in a file."""
    absent: ClassVar[Any]
    """The value of a setting without a default that the file does not have."""

    @property
    def bounds(self) -> str:
        """For the reference, in Markdown."""
        ...

    @property
    def schema(self) -> Schema: ...

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> Any:
        """The value of `node`, or None after a complaint about `what`."""
        ...


@attrs.frozen
class Text:
    """Printable text. `pattern` describes it for programs, `form` for people, as in "must be `form`"."""

    pattern: str = ""
    form: str = ""
    bounds: str = ""
    least: int = 0
    """Minimum length."""
    why: str = ""
    """The reason for it."""
    padded: bool = True
    """Whether spaces at the ends are permitted."""
    word: ClassVar[str] = "text"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[str] = ""

    @property
    def schema(self) -> Schema:
        pattern = {"pattern": rf"^(?:{self.pattern})$|\$\{{"} if self.pattern else {}
        return {"type": "string", **pattern}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> str | None:
        value = reading.text(node, what)
        if value is None:
            return None
        if self.pattern and not re.fullmatch(self.pattern, value):
            reading.complain(node, f"{what} must be {self.form}, not {reading.shown(node, value)}")
        elif len(value) < self.least:
            reading.complain(node, f"{what} must have {self.least} characters or more, so that {self.why}")
        elif not self.padded and value.strip() != value:
            reading.complain(node, f"{what} must not begin or end with a space")
        else:
            return value
        return None


@attrs.frozen
class File:
    """A path. A relative one begins at the folder of the configuration."""

    bounds: str = ""
    word: ClassVar[str] = "path"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None
    schema: ClassVar[Schema] = {"type": "string"}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> Any:
        text = reading.text(node, what)
        return None if text is None else reading.path(text)


@attrs.frozen
class Address:
    """ADDRESS:PORT, as a pair."""

    example: str = "127.0.0.1:8620"
    word: ClassVar[str] = "text"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None
    schema: ClassVar[Schema] = {"type": "string"}
    bounds: ClassVar[str] = "ADDRESS:PORT; IPv6 in brackets; port 0 to 65535"

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> tuple[str, int] | None:
        value = reading.text(node, what)
        if value is None:
            return None
        match = re.fullmatch(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[^:\s]+)):(?P<port>\d{1,5})", value)
        if match is None or int(match["port"]) > 65535:
            shown = reading.shown(node, value)
            reading.complain(node, f"{what} must be ADDRESS:PORT, like '{self.example}', not {shown}")
            return None
        return match["v6"] or match["host"], int(match["port"])


PLAIN = ("off", "no", "false")
ON = ("on", "yes", "true")
"""The words for plain HTTP: programs write the first as one of the others."""


@attrs.frozen
class TlsFiles:
    """A certificate with its chain, and its private key, as PEM."""

    cert: Path
    key: Path


@attrs.frozen
class TlsChoice:
    """One of two words, or the files of a certificate and its key."""

    word: ClassVar[str] = "one of, or a mapping"
    is_scalar: ClassVar[bool] = False
    absent: ClassVar[None] = None
    bounds: ClassVar[str] = "`auto`, `off`, or {cert: FILE, key: FILE}"
    schema: ClassVar[Schema] = {
        "type": ["string", "boolean", "object"],
        "pattern": "^(auto|off)$",
        "properties": {"cert": {"type": "string"}, "key": {"type": "string"}},
        "required": ["cert", "key"],
        "additionalProperties": False,
    }

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> str | TlsFiles | None:
        if not isinstance(node, yaml.MappingNode):
            word = reading.text(node, what) if isinstance(node, yaml.ScalarNode) else ""
            if word == "auto":
                return word
            if word in PLAIN:
                return "off"
            if word is not None:
                reading.complain(node, f"{what} must be auto, off, or {{cert: FILE, key: FILE}}")
            return None
        entries = reading.mapping(node, what, ("cert", "key"))
        if missing := [key for key in ("cert", "key") if key not in entries]:
            reading.complain(node, f"{what} has no {missing[0]}; it needs the files of a certificate and of its key")
            return None
        paths = [File().take(reading, entries[key], f"{what}.{key}") for key in ("cert", "key")]
        return None if None in paths else TlsFiles(*paths)


@attrs.frozen
class Network:
    """An address or a network in CIDR notation. A network of all addresses is rejected: it would trust everybody."""

    word: ClassVar[str] = "text"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None
    bounds: ClassVar[str] = "addresses and networks, but not a network of all addresses"
    schema: ClassVar[Schema] = {"type": "string"}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> IPv4Network | IPv6Network | None:
        text = reading.text(node, what)
        if text is None:
            return None
        shown = reading.shown(node, text)
        try:
            network = ip_network(text)
        except ValueError:
            reading.complain(node, f"{what} must be an address or a network like 192.0.2.0/24, not {shown}")
            return None
        if isinstance(network, IPv6Network) and network.overlaps(MAPPED) and network.prefixlen > 0:
            reading.complain(node, f"{what} must name an IPv4 network as such, like 192.0.2.0/24, not {shown}")
        elif network.prefixlen == 0:
            reading.complain(node, f"{what} must name the proxies; {shown} is every address")
        else:
            return network
        return None


@attrs.frozen
class TimesOfWeek:
    """A time of the week, like `Mon-Fri 22:00-06:00`, as its text."""

    word: ClassVar[str] = "text"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None
    bounds: ClassVar[str] = "times of the week"
    schema: ClassVar[Schema] = {"type": "string"}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> str | None:
        text = reading.text(node, what)
        if text is None:
            return None
        try:
            read_window(text)
        except ValueError as error:
            reading.complain(node, f"{what} {error}; it is {reading.shown(node, text)}")
            return None
        return text.strip()


@attrs.frozen
class OneOf:
    """One of the words."""

    words: tuple[str, ...]
    on: str = ""
    """The word that `on`, `true` and `yes` mean; empty: none."""
    word: ClassVar[str] = "one of"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None

    @property
    def bounds(self) -> str:
        return ", ".join(f"`{word}`" for word in self.words)

    @property
    def schema(self) -> Schema:
        return {"enum": [*self.words, True, False]} if self.on else {"type": "string", "enum": [*self.words]}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> str | None:
        value = reading.text(node, what)
        if self.on and value in ON:
            return self.on
        if value in PLAIN and "off" in self.words:  # YAML reads `off` as a boolean
            return "off"
        if value is None or value in self.words:
            return value
        words = " or ".join((", ".join(self.words[:-1]), self.words[-1]))
        reading.complain(node, f"{what} must be {words}, not {reading.shown(node, value)}")
        return None


@attrs.frozen
class Switch:
    """On or off."""

    word: ClassVar[str] = "switch"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[bool] = False
    bounds: ClassVar[str] = "`on`, `off`"
    schema: ClassVar[Schema] = {"enum": [True, False, "on", "off", "yes", "no", "true", "false"]}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> bool | None:
        value = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if value in ("true", "on", "yes", "false", "off", "no"):
            return value in ("true", "on", "yes")
        reading.complain(node, f"{what} must be on or off, not {number_of(node)}")
        return None


@attrs.frozen
class Count:
    """A whole number."""

    least: int = 1
    most: int = 999_999
    word: ClassVar[str] = "count"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None

    @property
    def bounds(self) -> str:
        return f"`{self.least}` to `{self.most}`"

    @property
    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> int | None:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if re.fullmatch(r"\d{1,9}", value) and self.least <= int(value) <= self.most:
            return int(value)
        reading.complain(node, f"{what} must be a whole number from {self.least} to {self.most}, not {number_of(node)}")
        return None


@attrs.frozen
class Number:
    """A decimal number with at most so many decimals."""

    least: float
    most: float
    decimals: int
    like: str
    """An example."""
    word: ClassVar[str] = "number"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None

    @property
    def bounds(self) -> str:
        return f"`{self.least:g}` to `{self.most:g}`, at most {self.decimals} decimals"

    @property
    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.least, "maximum": self.most}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> float | None:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if re.fullmatch(rf"\d{{1,9}}(\.\d{{1,{self.decimals}}})?", value) and self.least <= float(value) <= self.most:
            return float(value)
        bounds = f"from {self.least:g} to {self.most:g}, like {self.like}"
        reading.complain(node, f"{what} must be a number {bounds}, not {number_of(node)}")
        return None


@attrs.frozen
class Duration:
    """Seconds. The bounds are written as in a file."""

    least: str
    most: str
    auto: bool = False
    """Whether the word `auto` is possible, too: its value is 0."""
    word: ClassVar[str] = "duration"
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None

    @property
    def bounds(self) -> str:
        return f"`{self.least}` to `{self.most}`" + (", `auto`" if self.auto else "")

    @property
    def schema(self) -> Schema:
        pattern = f"auto|{_DURATION.pattern}" if self.auto else _DURATION.pattern
        return {"type": ["string", "number"], "pattern": f"^({pattern})$" if self.auto else f"^{pattern}$"}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> float | None:
        if self.auto and node.value == "auto":
            return 0.0
        value = _seconds(node.value) if isinstance(node, yaml.ScalarNode) else -1.0
        if _seconds(self.least) <= value <= _seconds(self.most):
            return value
        bounds = f"from {self.least} to {self.most}, like 20s" + (", or auto" if self.auto else "")
        reading.complain(node, f"{what} must be a duration {bounds}, not {number_of(node)}")
        return None


def _seconds(text: str) -> float:
    """A duration; -1 for anything else."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNIT_S[match[2]] if match else -1.0


@attrs.frozen
class _Amount:
    """A number with a unit. The bounds are written as in a file."""

    least: str
    most: str
    word: ClassVar[str]
    like: ClassVar[str]
    """An example, for complaints."""
    written: ClassVar[re.Pattern[str]]
    """A number and its unit, as two groups."""
    units: ClassVar[Mapping[str, int]]
    is_scalar: ClassVar[bool] = True
    absent: ClassVar[None] = None

    @property
    def bounds(self) -> str:
        return f"`{self.least}` to `{self.most}`"

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{self.written.pattern}$"}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> int | None:
        value = self._value(node.value) if isinstance(node, yaml.ScalarNode) else -1
        if self._value(self.least) <= value <= self._value(self.most):
            return value
        bounds = f"from {self.least} to {self.most}, like {self.like}"
        reading.complain(node, f"{what} must be a {self.word} {bounds}, not {number_of(node)}")
        return None

    def _value(self, text: str) -> int:
        """The number in the smallest unit; -1 for anything else."""
        match = self.written.fullmatch(text)
        return int(float(match[1]) * self.units[match[2]]) if match else -1


class Size(_Amount):
    """Bytes."""

    word, like, written = "size", "4GiB", _SIZE
    units: ClassVar = {unit: 1024**power for power, unit in enumerate(UNITS)}


class BitRate(_Amount):
    """Bits per second."""

    word, like, written = "bit rate", "2500k or 4M", _BIT_RATE
    units: ClassVar = {"k": 1_000, "M": 1_000_000}


@attrs.frozen
class ListOf:
    """A list of texts, as a tuple."""

    entry: Text | Network | TimesOfWeek = attrs.field(factory=Text)
    bounds: str = ""
    most: int = MAX_LIST
    once: str = ""
    """Why no entry may stand twice; empty: it may."""
    word: ClassVar[str] = "list of text"
    is_scalar: ClassVar[bool] = False
    absent: ClassVar[tuple[()]] = ()

    @property
    def schema(self) -> Schema:
        once = {"uniqueItems": True} if self.once else {}
        return {"type": "array", "items": self.entry.schema, "maxItems": self.most, **once}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> tuple[Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode):
            reading.complain(node, f"{what} must be a list, not {kind_of(node)}")
            return None
        if len(node.value) > self.most:
            reading.complain(node, f"{what} has {len(node.value)} entries; at most {self.most} are allowed")
            return None
        entries = tuple(self.entry.take(reading, entry, f"an entry of {what}") for entry in node.value)
        if self.once:
            for twice in sorted(str(entry) for entry, times in Counter(entries).items() if entry and times > 1):
                reading.complain(node, f"{what} names {reading.shown(node, twice)} twice; {self.once}")
        return tuple(entry for entry in entries if entry is not None)


@attrs.frozen
class Texts:
    """A mapping of names that the operator chooses to texts, at most as many as a list has entries."""

    bounds: str
    word: ClassVar[str] = "mapping"
    is_scalar: ClassVar[bool] = False
    absent: ClassVar[Mapping[str, str]] = {}
    schema: ClassVar[Schema] = {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": MAX_LIST}

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> dict[str, str]:
        entries = reading.mapping(node, what)
        if len(entries) > MAX_LIST:
            reading.complain(node, f"{what} has {len(entries)} entries; at most {MAX_LIST} are allowed")
            return {}
        return {key: reading.text(value, f"an entry of {what}") or "" for key, value in entries.items()}


@attrs.frozen
class Environment:
    """Variables of child processes. A value from the environment, or with a secret name, counts as a secret."""

    reserved: str
    """The prefix of banken's names, which are refused."""
    word: ClassVar[str] = "mapping"
    is_scalar: ClassVar[bool] = False
    absent: ClassVar[Mapping[str, str]] = {}

    @property
    def bounds(self) -> str:
        most = f"{MOST_ENVIRONMENT} names of letters, digits and _; {MOST_ENVIRONMENT_TEXT:,} characters"
        return f"{most}; no name that begins with {self.reserved}"

    @property
    def schema(self) -> Schema:
        names = {"pattern": f"^(?!{self.reserved}){_ENVIRONMENT_NAME.pattern}$"}
        values = {"type": "string"}
        return {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": values,
            "maxProperties": MOST_ENVIRONMENT,
        }

    def take(self, reading: ParseContext, node: yaml.Node, what: str) -> dict[str, str]:
        env = dict[str, str]()
        for key, value in reading.mapping(node, what).items():
            shown = redact(repr(key[:40]), reading.hides(value, key))
            if not _ENVIRONMENT_NAME.fullmatch(key):
                reading.complain(value, f"{shown} in {what} must be of A-Z, a-z, 0-9 and _, at most 100")
            elif key.startswith(self.reserved):
                reading.complain(value, f"{shown} in {what}: {self.reserved}… are our own names")
            else:
                env[key] = reading.text(value, what.replace("env", f"env {key}", 1)) or ""
                if is_secret(key) and env[key]:
                    reading.found.append(env[key])
        if len(env) > MOST_ENVIRONMENT or sum(map(len, env.values())) > MOST_ENVIRONMENT_TEXT:
            most = f"{MOST_ENVIRONMENT} names and {MOST_ENVIRONMENT_TEXT} characters"
            reading.complain(node, f"{what} has more than {most}")
        return env
