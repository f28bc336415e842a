"""The configuration file: YAML, as camera people know it. Every complaint names its line and says what would be right.

Rules of this file:
- Nothing is ignored: an unknown key, a wrong type or a second camera of the same name is an error.
- All complaints are found in one pass, and a file with any is used for nothing.
- `${NAME}` comes from the environment and counts as a secret: it is never shown.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
import yaml
from msgspec.structs import replace

from .domain.ids import CameraId, DeviceId
from .domain.substreams import circles
from .domain.values import DeviceSettings, Limits, Mode, Patrol, Policy, SourceSummary
from .handover import shows_secrets
from .journal.anchor import EVERY_S, AnchorSettings, is_url
from .journal.retention import DAY_S, Retention
from .redact import HIDDEN, forms_of, is_secret, redact

DEFAULT_LISTEN = "127.0.0.1:8620"
DEFAULT_JOURNAL = "journal"
MAX_BYTES = 256 * 1024
"""A thousand cameras take less; PyYAML may take ten seconds for each megabyte."""
MAX_BRACKETS = 50
"""Brackets within brackets; PyYAML takes seconds for a thousand."""
MAX_TEXT = 8 * 1024
"""Characters of one value. An alias may repeat a value for each camera, so what one costs is bounded."""
MAX_LIST = 1024
"""Entries of one list, for the same reason."""
MAX_KEYS = 64
"""Of a section whose keys are known; an alias may repeat it, too."""
SHOWN = 1024
"""Characters of a wrong value that are shown."""
NAMED = 10
"""Names that a complaint lists."""
TRANSPORTS = ("tcp", "udp")
FORWARDED = ("x-forwarded", "forwarded")
"""The families of headers in which a proxy may say who asks."""
EXPOSED = (
    "is beyond this machine, and banken asks nobody who they are: whoever reaches it can watch and control; "
    "listen on 127.0.0.1 and put a proxy with a password in front (ops/docs/proxy.md)"
)
OPEN_ARGUMENTS = (
    "arguments that look secret can be read by every user of this machine; an HTTP or HTTPS address is handed over "
    "in secret if the list begins with -i and the address"
)
MAPPED = IPv6Network("::ffff:0:0/96")
LEAST_TOKEN = 16
"""Characters of a token that is hard to guess."""
LEAST_SECRET = 4
"""Characters of an entry of `secret`: a shorter one would blank half of the log."""
MOST_SECRETS = 100
LISTS = ("ffmpeg",)
"""Kinds of sources that take a list of arguments instead of an address."""


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each complaint, `file:line: what is wrong`."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


@attrs.frozen
class Source:
    """Where a camera's pictures come from. May hold secrets: never shown, never journaled."""

    kind: str
    address: str
    """The URL, or what stands after `kind:`."""
    arguments: tuple[str, ...] = ()
    """Only for kinds that take a list."""
    secrets: tuple[str, ...] = ()
    """Texts that are hidden wherever the source is shown."""
    via: str = ""
    """The API of the go2rtc that is to open it; may hold a password, too."""
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Variables of its children, beside those that all children have. May hold secrets."""
    transport: str = "tcp"
    """How RTP comes from an RTSP camera: one of `TRANSPORTS`."""
    device: DeviceId | None = None
    mode: Mode = Mode.ALWAYS
    group: str = ""
    substream: CameraId | None = None

    def summary(self, revision: int = 0) -> SourceSummary:
        shown = " ".join(self.arguments) if self.arguments else self.address
        return SourceSummary(kind=self.kind, url=redact(shown, self.secrets), revision=revision)


@attrs.frozen
class Config:
    origin: str
    """Where it was read."""
    host: str
    port: int
    allow_origins: tuple[str, ...]
    """Web origins, other than our own, whose pages may call the API."""
    ice_servers: tuple[str, ...]
    """`stun:` URLs, for us and for the viewers; none on a LAN."""
    journal: Path
    retention: Retention
    limits: Limits
    devices: tuple[DeviceSettings, ...]
    patrol: Patrol
    policy: Policy
    """Which detections are suggested."""
    detector_token: str = attrs.field(repr=False)
    """What detectors must show; empty: none may report. A secret."""
    cameras: Mapping[CameraId, Source]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where the proxies are whose word counts for who asks."""
    forwarded: str = FORWARDED[0]
    """The family of headers that they write: one of `FORWARDED`."""
    anchor: AnchorSettings | None = None
    """Where the end of the journal's chain is noted; none: nowhere."""
    secret: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Values, and names in front of values, that the operator wants hidden in every source's words and in the log."""

    @property
    def exposed(self) -> str:
        """The address that others than this machine may reach; empty for loopback. A name counts as reachable."""
        if self.host.lower() == "localhost":
            return ""
        try:
            loopback = ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return "" if loopback else f"{shown}:{self.port}"

    @property
    def exposure(self) -> str:
        """A warning in one line; empty when there is nothing to warn of."""
        return self.exposed and f"web.listen: {self.exposed} {EXPOSED}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works and harms, one line for each: the exposure, and arguments with secrets that everybody can read."""
        open_to_all = [name for name, source in self.cameras.items() if shows_secrets(source.arguments, source.secrets)]
        arguments = f"ffmpeg of {_listed(open_to_all)}: {OPEN_ARGUMENTS}" if open_to_all else ""
        return tuple(filter(None, (self.exposure, arguments)))


Check = Callable[[Source], str | None]
"""Says what is wrong with a source of one kind, or none."""


def load(path: Path, environ: Mapping[str, str], kinds: Mapping[str, Check]) -> Config:
    """Read the configuration file at `path`. Raises `ConfigError` with every complaint."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError([f"{path}: is larger than {MAX_BYTES // 1024} KiB, the most that a configuration takes"])
        text = data.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text (byte {error.start})"]) from None
    return parse(text, str(path), environ, kinds, base=path.parent)


def parse(
    text: str, origin: str, environ: Mapping[str, str], kinds: Mapping[str, Check], base: Path = Path()
) -> Config:
    """The configuration that `text` holds. Paths are relative to `base`. Raises `ConfigError` with every complaint."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{origin}:{line}: not YAML: {_unquoted(error.problem or error.context or '')}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{origin}: not YAML: {' '.join(str(error).split())}"]) from None
    except (ValueError, OverflowError) as error:  # of numbers in escapes and directives, which PyYAML does not bound
        raise ConfigError([f"{origin}: not YAML: {error}"]) from None
    except RecursionError:
        raise ConfigError([f"{origin}: nested too deeply to be a configuration"]) from None
    origin = origin.encode(errors="replace").decode()
    reading = _Reading(origin, environ, kinds, base)
    config = reading.config(root)
    if complaints := reading.complaints:
        raise ConfigError(complaints)
    return config


class _Loader(yaml.SafeLoader):
    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        if self.flow_level >= MAX_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(token)


_CAMERA_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""Names that are shown where a variable is missing; another may be the password itself, written as `${password}`."""
_LIKE_A_NUMBER = re.compile(r"[+-]?\d{1,8}(?:\.\d{1,8})?\s?[A-Za-z]{0,3}")
_LIKE_A_KEY = re.compile(r"[A-Za-z_-]{1,32}")
_PATH = re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,31}:/{1,3}(?!/)[^/?#\s]*)[/?#]\S+", re.IGNORECASE)
_AFTER_HOST = re.compile(r"[^:/@]*://(?:\[[^\]/@]*\]|[^:/?#@\[]*):(?P<rest>(?P<port>[^/?#@]*)[^@]*)")
_PORT = re.compile(r"0*\d{0,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]")
_PRIVATE = ("detections", "journal.anchor")
"""Sections with a secret: a key there is shown only if it is like one that is known."""
_WORD = re.compile(r"[^\s'\"]+")
_EXAMPLE = re.compile(rf"user:password|test:(?:\d+x\d+|WIDTHxHEIGHT)|.*{re.escape(HIDDEN)}")
"""In front of an @ where nothing is to be hidden."""
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
OWN_ENVIRONMENT = "BANKEN_"
MOST_ENVIRONMENT, MOST_ENVIRONMENT_TEXT = 64, 16 * 1024
"""Names, and characters of all values, in the `env` of one camera."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY_S, None: 1.0}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(MiB|GiB|TiB)")
_POWERS = ("B", "KiB", "MiB", "GiB", "TiB")
_JOURNAL_SIZES = (16 * 1024**2, 1024**5)


class _Reading:
    """One pass over one document; complaints gather, reading goes on."""

    def __init__(self, origin: str, environ: Mapping[str, str], kinds: Mapping[str, Check], base: Path) -> None:
        self.origin, self.environ, self.kinds, self.base = origin, environ, kinds, base
        self._complaints: list[tuple[str, str]] = []
        """Where, and the problem, which may still show a value of `secret`."""
        self.found: list[str] = []
        """Values taken from the environment since the last camera began."""
        self.hidden: tuple[str, ...] = ()
        """The operator's list `secret`."""
        self.named: tuple[str, ...] = ()
        """All cameras, whatever is wrong with them."""
        self.substreams: dict[str, tuple[str, yaml.Node]] = {}
        """By camera: the name of another, and where that stands."""

    def complain(self, node: yaml.Node | None, problem: str) -> None:
        where = f"{self.origin}:{node.start_mark.line + 1}" if node is not None else self.origin
        self._complaints.append((where, problem))

    @property
    def complaints(self) -> list[str]:
        """All complaints, those included that were found before the list `secret` was read, without its values."""
        return [f"{where}: {_shown(problem, self.hidden)}" for where, problem in self._complaints]

    def config(self, root: yaml.Node | None) -> Config:
        known = ("web", "journal", "limits", "leases", "webrtc", "devices", "patrol", "detections", "secret", "cameras")
        top = self.mapping(root, "the configuration", known)
        secret = self.hidden = self.secrets(top.get("secret"))
        web = self.mapping(top.get("web"), "web", ("listen", "allow_origins", "trusted_proxies", "forwarded"))
        journal = self.mapping(top.get("journal"), "journal", ("path", "keep", "max_size", "anchor"))
        webrtc = self.mapping(top.get("webrtc"), "webrtc", ("ice_servers",))
        host, port = self.listen(web.get("listen"))
        policy, token = self.detections(top.get("detections"))
        cameras = dict(self.cameras(top.get("cameras")))
        self.check_substreams()
        folder = self.path(self.text(journal.get("path"), "journal.path", DEFAULT_JOURNAL))
        return Config(
            origin=self.origin,
            host=host,
            port=port,
            allow_origins=tuple(self.texts(web.get("allow_origins"), "web.allow_origins")),
            ice_servers=tuple(self.ice_servers(webrtc.get("ice_servers"))),
            journal=folder,
            retention=self.retention(journal),
            anchor=self.anchor(journal.get("anchor"), folder),
            limits=self.leases(top.get("leases"), self.limits(top.get("limits"), len(cameras))),
            devices=tuple(self.devices(top.get("devices"), cameras)),
            patrol=self.patrol(top.get("patrol")),
            policy=policy,
            detector_token=token,
            cameras=cameras,
            secret=secret,
            trusted_proxies=tuple(self.networks(web.get("trusted_proxies"), "web.trusted_proxies")),
            forwarded=self.one_of(web.get("forwarded"), "web.forwarded", FORWARDED),
        )

    def mapping(self, node: yaml.Node | None, what: str, known: tuple[str, ...] | None) -> dict[str, yaml.Node]:
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.complain(node, f"{what} must be a mapping of keys to values, not {_kind(node)}")
            return {}
        entries: dict[str, yaml.Node] = {}
        if known is not None and len(node.value) > MAX_KEYS:
            self.complain(node, f"{what} has {len(node.value)} keys; known: {', '.join(known)}")
            return entries
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name or len(name) > SHOWN:
                self.complain(key, f"a key of {what} must be text, not {_kind(key)}")
            elif known is not None and name not in known:
                close = difflib.get_close_matches(name, known, 1)
                named = f" {name!r}" if close or (what not in _PRIVATE and _LIKE_A_KEY.fullmatch(name)) else ""
                self.complain(key, f"unknown key{named} in {what}; known: {', '.join(known)}")
            elif name in entries:
                noun = "camera" if what == "cameras" else "key"
                first = entries[name].start_mark.line + 1
                self.complain(key, f"{noun} {name!r} stands here a second time; the first is on line {first}")
            else:
                entries[name] = value
        return entries

    def text(self, node: yaml.Node | None, what: str, default: str = "") -> str:
        if node is None:
            return default
        if node.tag.startswith("!"):
            self.complain(node, f"{what} has a tag, a word behind !, which means nothing here")
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null" or node.value == "":
            self.complain(node, f"{what} must be text, not {_kind(node)}")
            return default
        if len(node.value) > MAX_TEXT:
            self.complain(node, f"{what} has {len(node.value)} characters; {MAX_TEXT} are the most")
            return default
        value = self.expanded(node)
        if not value.isprintable():
            self.complain(node, f"{what} has characters that cannot be printed")
            return default
        return value

    def expanded(self, node: yaml.ScalarNode) -> str:
        """The text with its variables; what is opened and not closed stands for itself, and is not looked at again."""
        text, at, parts = node.value, 0, []
        while (begin := text.find("${", at)) >= 0 and (end := text.find("}", begin)) >= 0:
            parts += [text[at:begin], self.variable(node, text[begin + 2 : end])]
            at = end + 1
        return "".join((*parts, text[at:]))

    def variable(self, node: yaml.Node, name: str) -> str:
        value = self.environ.get(name)
        if value is None:
            shown = f" {name!r}" if _VARIABLE.fullmatch(name) else ", named like a value,"
            self.complain(node, f"the environment has no variable{shown}; set it, or write the value itself")
            return ""
        if value not in self.found:
            self.found.append(value)
        return value

    def texts(self, node: yaml.Node | None, what: str) -> Iterator[str]:
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.complain(node, f"{what} must be a list, not {_kind(node)}")
            return
        if len(node.value) > MAX_LIST:
            self.complain(node, f"{what} has {len(node.value)} entries; {MAX_LIST} are the most")
            return
        for entry in node.value:
            yield self.text(entry, f"an entry of {what}")

    def networks(self, node: yaml.Node | None, what: str) -> Iterator[IPv4Network | IPv6Network]:
        """Addresses and networks in CIDR notation. A network of all addresses is refused: it would trust everybody."""
        for text in self.texts(node, what):
            shown = _value(text, self.found)
            try:
                network = ip_network(text)
            except ValueError:
                self.complain(node, f"{what} must hold addresses or networks like 192.0.2.0/24, not {shown}")
                continue
            if isinstance(network, IPv6Network) and network.overlaps(MAPPED) and network.prefixlen > 0:
                self.complain(node, f"{what} must name an IPv4 network as such, like 192.0.2.0/24, not {shown}")
            elif network.prefixlen == 0:
                self.complain(node, f"{what} must name the proxies; {text} is every address")
            else:
                yield network

    def one_of(self, node: yaml.Node | None, what: str, known: tuple[str, ...]) -> str:
        """One of the words in `known`, of which the first is the default."""
        value = self.text(node, what, known[0])
        if value not in known:
            self.complain(node, f"{what} must be {' or '.join(known)}, not {_value(value, self.found)}")
            return known[0]
        return value

    def ice_servers(self, node: yaml.Node | None) -> Iterator[str]:
        for url in self.texts(node, "webrtc.ice_servers"):
            if not re.fullmatch(r"stuns?:[^\s/]+", url):
                self.complain(node, f"an ICE server must look like stun:HOST:PORT, not {_value(url)}")
            yield url

    def listen(self, node: yaml.Node | None) -> tuple[str, int]:
        value = self.text(node, "web.listen", DEFAULT_LISTEN)
        match = re.fullmatch(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[^:\s]+)):(?P<port>\d{1,5})", value)
        if match is None or int(match["port"]) > 65535:
            shown = _value(value, self.found)
            self.complain(node, f"web.listen must be ADDRESS:PORT, like {DEFAULT_LISTEN!r}, not {shown}")
            return "127.0.0.1", 0
        return match["v6"] or match["host"], int(match["port"])

    def limits(self, node: yaml.Node | None, cameras: int) -> Limits:
        """One page shows every camera: a client may have as many viewers as two pages take, unless the file says."""
        counts = ("peers", "peers_per_camera", "peers_per_client", "leases", "leases_per_client", "journaled_burst")
        entries = self.mapping(node, "limits", (*counts, "journaled_rate", "disconnected_after", "linger", "idle"))
        chosen = {key: self.count(entries[key], f"limits.{key}") for key in counts if key in entries}
        least = Limits()
        both = 2 * cameras
        limits = replace(
            least,
            peers_per_client=max(least.peers_per_client, both),
            journaled_burst=max(least.journaled_burst, both),
        )
        limits = replace(limits, **chosen)
        if "journaled_rate" in entries:
            limits = replace(limits, journaled_rate=self.rate(entries["journaled_rate"], "limits.journaled_rate"))
        if "disconnected_after" in entries:
            after_s = self.duration(entries["disconnected_after"], "limits.disconnected_after", 15.0, 30.0)
            limits = replace(limits, disconnected_after_s=after_s)
        if "linger" in entries:
            limits = replace(limits, linger_s=self.duration(entries["linger"], "limits.linger", 0.0, 3600.0))
        if "idle" in entries:
            limits = replace(limits, idle_s=self.duration(entries["idle"], "limits.idle", 10.0, DAY_S))
        return limits

    def leases(self, node: yaml.Node | None, limits: Limits) -> Limits:
        """What the section `leases` says of them; how many there may be stands among the other limits."""
        entries = self.mapping(node, "leases", ("ttl", "modal"))
        if "ttl" in entries:
            limits = replace(limits, lease_ttl_s=self.duration(entries["ttl"], "leases.ttl", 10.0, 120.0))
        if "modal" in entries:
            limits = replace(limits, modal_s=self.duration(entries["modal"], "leases.modal", 60.0, 30 * DAY_S))
        return limits

    def devices(self, node: yaml.Node | None, cameras: Mapping[CameraId, Source]) -> Iterator[DeviceSettings]:
        grouped: dict[str | None, list[CameraId]] = {}
        for camera, source in cameras.items():
            grouped.setdefault(source.device, []).append(camera)
        for name, value in self.mapping(node, "devices", None).items():
            entries = self.mapping(value, f"device {name!r}", ("max_connections",))
            if "max_connections" not in entries:
                self.complain(value, f"device {name!r} needs max_connections, a whole number from 1")
                continue
            most = self.count(entries["max_connections"], f"max_connections of device {name!r}")
            of_it = grouped.get(name, [])
            always = sorted(camera for camera in of_it if cameras[camera].mode is Mode.ALWAYS)
            if not of_it:
                self.complain(value, f"no camera has the device {name!r}; name it as `device:` of one, or by its host")
            elif len(always) > most:
                self.complain(
                    entries["max_connections"],
                    f"device {name!r} serves {most}, but {len(always)} cameras are always open: {_listed(always)}; "
                    "give some of them `mode: on_demand`",
                )
            yield DeviceSettings(DeviceId(name), most)

    def patrol(self, node: yaml.Node | None) -> Patrol:
        entries, patrol = self.mapping(node, "patrol", ("every", "patience")), Patrol()
        if "every" in entries:
            patrol = replace(patrol, every_s=self.duration(entries["every"], "patrol.every", 5.0, 86400.0))
        if "patience" in entries:
            patience_s = self.duration(entries["patience"], "patrol.patience", 1.0, 300.0)
            patrol = replace(patrol, patience_s=patience_s)
        return patrol

    def detections(self, node: yaml.Node | None) -> tuple[Policy, str]:
        """The policy, and the token."""
        entries, policy = (
            self.mapping(node, "detections", ("token", "labels", "score", "quiet", "shown", "motion")),
            Policy(),
        )
        labels = tuple(self.texts(entries.get("labels"), "detections.labels"))
        policy = replace(policy, labels=labels)
        for twice in sorted(label for label, times in Counter(labels).items() if times > 1):
            self.complain(
                entries["labels"], f"detections.labels names {twice!r} twice; the first is the most important"
            )
        if "score" in entries:
            policy = replace(policy, score=self.share(entries["score"], "detections.score"))
        if "quiet" in entries:
            policy = replace(policy, quiet_s=self.duration(entries["quiet"], "detections.quiet", 0.0, DAY_S))
        if "shown" in entries:
            policy = replace(policy, shown_s=self.duration(entries["shown"], "detections.shown", 3.0, 600.0))
        if "motion" in entries:
            policy = replace(policy, motion=self.switch(entries["motion"], "detections.motion"))
        token = self.text(entries.get("token"), "detections.token")
        if token and len(token) < LEAST_TOKEN:
            self.complain(
                entries["token"],
                f"detections.token must have {LEAST_TOKEN} characters or more, so that nobody guesses it",
            )
        return policy, token

    def share(self, node: yaml.Node, what: str) -> float:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"0(\.\d{1,6})?|1(\.0{1,6})?", value):
            self.complain(node, f"{what} must be a number from 0 to 1, like 0.6, not {_number(node)}")
            return 0.0
        return float(value)

    def switch(self, node: yaml.Node, what: str) -> bool:
        value = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if value not in ("true", "on", "yes", "false", "off", "no"):
            self.complain(node, f"{what} must be on or off, not {_number(node)}")
        return value in ("true", "on", "yes")

    def rate(self, node: yaml.Node, what: str) -> float:
        """Times a second."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", value) or not 0.1 <= float(value) <= 1000:
            self.complain(node, f"{what} must be a number a second from 0.1 to 1000, like 2, not {_number(node)}")
            return 1.0
        return float(value)

    def count(self, node: yaml.Node, what: str) -> int:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"\d{1,6}", value) or int(value) < 1:
            self.complain(node, f"{what} must be a whole number from 1 to 999999, not {_number(node)}")
            return 1
        return int(value)

    def duration(self, node: yaml.Node, what: str, least: float, most: float) -> float:
        match = _DURATION.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        value = float(match[1]) * _UNIT_S[match[2]] if match else -1.0
        if not least <= value <= most:
            self.complain(
                node, f"{what} must be a duration from {least:g}s to {most:.9g}s, like 20s, not {_number(node)}"
            )
        return value

    def retention(self, journal: Mapping[str, yaml.Node]) -> Retention:
        default, keep, size = Retention(), journal.get("keep"), journal.get("max_size")
        return Retention(
            default.keep_s if keep is None else self.duration(keep, "journal.keep", 3600, 3650 * DAY_S),
            default.max_bytes if size is None else self.size(size, "journal.max_size", *_JOURNAL_SIZES),
        )

    def path(self, text: str) -> Path:
        return self.base / Path(text).expanduser()

    def anchor(self, node: yaml.Node | None, journal: Path) -> AnchorSettings | None:
        """At least one of a file and a URL; the URL may hold a secret, and is never shown whole."""
        if node is None:
            return None
        entries = self.mapping(node, "journal.anchor", ("file", "url", "every"))
        file, url = entries.get("file"), self.text(entries.get("url"), "journal.anchor.url")
        every = entries.get("every")
        every_s = EVERY_S if every is None else self.duration(every, "journal.anchor.every", 10.0, DAY_S)
        if isinstance(node, yaml.MappingNode) and file is None and "url" not in entries:
            self.complain(node, "journal.anchor needs a file or a url to note the end of the journal's chain in")
        if url and not is_url(url):
            self.complain(entries["url"], "journal.anchor.url must be like https://HOST/PATH or http://HOST:PORT/PATH")
        text = self.text(file, "journal.anchor.file")
        path = self.path(text) if text else None
        if path is not None and _is_within(path, journal):
            self.complain(file, "journal.anchor.file must be outside of the journal's folder")
        if path is not None and _is_within(path, Path(self.origin)):
            self.complain(file, "journal.anchor.file is the configuration itself; name a file of its own")
        return AnchorSettings(path, url, every_s)

    def secrets(self, node: yaml.Node | None) -> tuple[str, ...]:
        """The operator's list: values, and names in front of values, which end in `=` or `:`."""
        found = []
        for entry in self.entries(node, "secret"):
            value = self.text(entry, "an entry of secret")
            if value and len(value) < LEAST_SECRET:
                self.complain(
                    entry,
                    f"an entry of secret must have {LEAST_SECRET} characters or more, so that it blanks nothing else",
                )
            elif value and value.strip() != value:
                self.complain(entry, "an entry of secret must not begin or end with a space")
            found.append(value)
        if len(found) > MOST_SECRETS:
            self.complain(node, f"secret has {len(found)} entries; {MOST_SECRETS} are the most")
        return tuple(filter(None, found[:MOST_SECRETS]))

    def entries(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if node is None or isinstance(node, yaml.SequenceNode):
            return [] if node is None else list(node.value)
        self.complain(node, f"{what} must be a list, not {_kind(node)}")
        return []

    def size(self, node: yaml.Node, what: str, least: int, most: int) -> int:
        match = _SIZE.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        value = int(float(match[1]) * 1024 ** _POWERS.index(match[2])) if match else -1
        if not least <= value <= most:
            about = f"from {least // 1024**2} MiB to {most // 1024**4} TiB, like 4GiB"
            self.complain(node, f"{what} must be a size {about}, not {_number(node)}")
        return value

    def cameras(self, node: yaml.Node | None) -> Iterator[tuple[CameraId, Source]]:
        entries = self.mapping(node, "cameras", None)
        self.named = tuple(entries)
        for name, value in entries.items():
            if not _CAMERA_NAME.fullmatch(name):
                self.complain(
                    value,
                    f"camera name {name!r} must be of a-z, 0-9, - and _, at most 63, and begin with neither - nor _",
                )
            self.found = []
            source = self.source(name, value)
            if source is not None:
                hidden = tuple(dict.fromkeys((*forms_of(source.secrets), *self.hidden)))
                yield CameraId(name), attrs.evolve(source, secrets=hidden)

    def source(self, name: str, node: yaml.Node) -> Source | None:
        """A camera is its source's URL, or a mapping with `source`, or with a kind that takes a list, like `ffmpeg`."""
        if isinstance(node, yaml.ScalarNode):
            return self.checked(name, node, self.from_url(self.text(node, f"camera {name!r}")))
        entries = self.mapping(
            node,
            f"camera {name!r}",
            ("source", *LISTS, "via", "transport", "device", "mode", "group", "substream", "env"),
        )
        sources = [key for key in ("source", *LISTS) if key in entries]
        if len(sources) != 1:
            if isinstance(node, yaml.MappingNode):
                self.complain(node, f"camera {name!r} needs exactly one of: {' or '.join(('source', *LISTS))}")
            return None
        key, value = sources[0], entries[sources[0]]
        if key == "source":
            named = self.from_url(self.text(value, f"source of camera {name!r}"))
        else:
            arguments = tuple(self.texts(value, f"{key} of camera {name!r}"))
            named = Source(key, key, arguments, tuple(self.found))
        source = self.checked(name, value, self.over(entries.get("transport"), name, named))
        if source is None:
            return None
        source = self.through(entries.get("via"), name, source)
        device = self.text(entries.get("device"), f"device of camera {name!r}", source.device or "")
        group = self.text(entries.get("group"), f"group of camera {name!r}", source.group)
        mode = self.mode(entries.get("mode"), name)
        source = self.environment(entries.get("env"), name, source)
        return attrs.evolve(
            source,
            device=DeviceId(device) if device else None,
            mode=mode,
            group=group,
            substream=self.substream(entries.get("substream"), name),
        )

    def substream(self, node: yaml.Node | None, name: str) -> CameraId | None:
        """Whether there is such a camera is known only when all have been read: see `check_substreams`."""
        other = self.text(node, f"substream of camera {name!r}")
        if node is None or not other:
            return None
        self.substreams[name] = other, node
        return CameraId(other)

    def check_substreams(self) -> None:
        """Each has to be another camera, and from none may they lead back to where they began."""
        named, leads = set(self.named), {name: other for name, (other, _) in self.substreams.items()}
        for name, (other, node) in self.substreams.items():
            if other == name:
                self.complain(node, f"substream of camera {name!r} must be another camera, not itself")
            elif other not in named:
                others = _listed([each for each in self.named[: NAMED + 2] if each != name], len(named) - 1)
                self.complain(node, f"substream of camera {name!r} must name another camera: {others}")
        for circle in circles(leads):
            first = circle.index(min(circle))
            path = [*circle[first:], *circle[:first]]
            drawn = " → ".join([*path, path[0]]) if len(path) <= NAMED else f"{' → '.join(path[:NAMED])} → …"
            self.complain(
                self.substreams[path[0]][1], f"substreams go round in a circle: {drawn}; leave out one of them"
            )

    def over(self, node: yaml.Node | None, name: str, source: Source) -> Source:
        """The source by the transport that was asked for."""
        if node is None:
            return source
        value = self.text(node, f"transport of camera {name!r}", TRANSPORTS[0])
        if source.kind != "rtsp":
            self.complain(node, f"camera {name!r}: only an rtsp:// source has a transport")
        elif value not in TRANSPORTS:
            self.complain(node, f"transport of camera {name!r} must be {' or '.join(TRANSPORTS)}, not {_value(value)}")
        else:
            return attrs.evolve(source, transport=value)
        return source

    def through(self, node: yaml.Node | None, name: str, source: Source) -> Source:
        """The source as another server opens it for us."""
        if node is None:
            return source
        url = self.text(node, f"via of camera {name!r}")
        try:
            parts = urlsplit(url)
            usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and not parts.query
            usable = usable and url.isascii() and not any(character.isspace() for character in url)
            password = parts.password
        except ValueError:
            usable, password = False, None
        hidden = (*source.secrets, *self.found, *([password, unquote(password)] if password else ()))
        if source.kind != "rtsp":
            self.complain(node, f"camera {name!r}: only an rtsp:// source can be opened via another server")
        elif not usable:
            shown = _value(url, (*hidden, _behind_colon(url)))
            self.complain(
                node, f"via of camera {name!r} must be a go2rtc's API like http://127.0.0.1:1984, not {shown}"
            )
        return attrs.evolve(source, kind="go2rtc", via=url, secrets=tuple(dict.fromkeys(hidden)))

    def environment(self, node: yaml.Node | None, name: str, source: Source) -> Source:
        """The source with what `env` lists for its children. What comes from `${NAME}` is hidden in all they say."""
        before, env = len(self.found), dict[str, str]()
        for key, value in self.mapping(node, f"env of camera {name!r}", None).items():
            shown = redact(repr(key[:40]), self.found)
            if not _ENVIRONMENT_NAME.fullmatch(key):
                self.complain(value, f"{shown} in env of camera {name!r} must be of A-Z, a-z, 0-9 and _, at most 100")
            elif key.startswith(OWN_ENVIRONMENT):
                self.complain(value, f"{shown} in env of camera {name!r}: {OWN_ENVIRONMENT}… are our own names")
            else:
                env[key] = self.text(value, f"env {key} of camera {name!r}")
                if is_secret(key):
                    self.found.append(env[key])
        if len(env) > MOST_ENVIRONMENT or sum(map(len, env.values())) > MOST_ENVIRONMENT_TEXT:
            most = f"{MOST_ENVIRONMENT} names and {MOST_ENVIRONMENT_TEXT} characters"
            self.complain(node, f"env of camera {name!r} has more than {most}")
        secrets = dict.fromkeys((*source.secrets, *self.found[before:]))
        return attrs.evolve(source, env=env, secrets=tuple(secrets))

    def mode(self, node: yaml.Node | None, name: str) -> Mode:
        value = self.text(node, f"mode of camera {name!r}", Mode.ALWAYS)
        if value not in list(Mode):
            self.complain(node, f"mode of camera {name!r} must be {', '.join(Mode)}, not {_value(value)}")
            return Mode.ALWAYS
        return Mode(value)

    def from_url(self, url: str) -> Source:
        scheme = url.partition(":")[0].lower()
        secrets = list(self.found)
        try:
            password, host = urlsplit(url).password, urlsplit(url).hostname
        except ValueError:
            password = host = None
        if password:
            secrets += [password, unquote(password)]
        elif forgotten := _behind_colon(url):
            secrets.append(forgotten)
        kind = "rtsp" if scheme == "rtsps" else scheme
        if host and any(secret in host for secret in self.found):
            host = None  # it came from the environment: it is not shown, so it names no device
        device = DeviceId(host) if host else None
        return Source(kind, url, secrets=tuple(secrets), device=device, group=_subnet(host or ""))

    def checked(self, name: str, node: yaml.Node, source: Source) -> Source | None:
        if not source.address:
            return None
        check = self.kinds.get(source.kind)
        if check is None:
            known = ", ".join(self.kinds)
            shown = redact(source.address, source.secrets).partition(":")[0]
            self.complain(node, f"camera {name!r}: no kind of source is called {shown!r}; known: {known}")
            return None
        problem = check(source)
        if problem:
            self.complain(node, f"camera {name!r}: {redact(problem, source.secrets)}")
            return None
        return source


def _is_within(path: Path, other: Path) -> bool:
    """Whether `path` leads to `other`, or into that folder, by whatever links."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(other))
    except (OSError, ValueError):  # of a name that no file can have
        return False


def _listed(names: Sequence[str], count: int | None = None) -> str:
    """The first `NAMED` of `count` names: what a file gets wrong in every line must not be answered by all of it."""
    more = (len(names) if count is None else count) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "") or "there is none"


def _shown(problem: str, secrets: Sequence[str]) -> str:
    """A complaint without what may be a password, in names and keys as well, and without logins of any form."""
    return _WORD.sub(_without_login, redact(problem, secrets))


def _without_login(word: re.Match[str]) -> str:
    """`user:password@host` without its first half, whatever stands in front."""
    login, _, host = word[0].rpartition("@")
    return f"{HIDDEN}@{host}" if login and not _EXAMPLE.fullmatch(login) else word[0]


def _unquoted(problem: str) -> str:
    """The parser's own words up to what it quotes of the file; single characters and its own terms are left."""
    return re.sub(r"'<[^']*'|'\\?.'|(\s*['\"]).*", lambda match: "" if match[1] else match[0], problem, flags=re.DOTALL)


def _subnet(host: str) -> str:
    """Cameras of one /24 (IPv4) or /64 (IPv6) are patrolled together; hosts that are known by name, too."""
    try:
        address = ip_address(host)
    except ValueError:
        return "others"
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if len(node.value) > SHOWN:
        return f"a text of {len(node.value)} characters"
    return "a text" if node.value else "nothing"


def _number(node: yaml.Node) -> str:
    """The same where a number is wanted, which is shown: it is nobody's password."""
    shown = isinstance(node, yaml.ScalarNode) and _LIKE_A_NUMBER.fullmatch(node.value)
    return repr(node.value) if shown else _kind(node)


def _value(text: str, secrets: Sequence[str] = ()) -> str:
    """A wrong value as a complaint shows it: without secrets, and of a URL only the scheme and the host."""
    return repr(_PATH.sub(rf"\1/{HIDDEN}", redact(text, secrets)))


def _behind_colon(url: str) -> str:
    """All behind the colon of `SCHEME://HOST:` where it is no port and has no @: a password whose host is missing."""
    match = _AFTER_HOST.match(url)
    return "" if match is None or _PORT.fullmatch(match["port"]) else match["rest"]
