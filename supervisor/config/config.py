"""The values of a configuration: what the other layers get."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import attrs

from ..base.ffmpeg_stdin import shows_secrets
from ..base.redact import redact
from ..domain.ids import CameraId, DeviceId
from ..domain.rights import PROXY_ROLES, Role
from ..domain.values import DeviceSettings, Limits, Mode, Patrol, Policy, RecordMode, SourceSummary, Transcode
from ..journal.anchor import AnchorSettings
from ..journal.retention import Retention
from .login_provider import LoginProvider
from .problem_text import listed
from .settings import SETTINGS
from .state_folder import folder_of
from .types import TlsFiles, is_loopback

CLOSED = (
    "is beyond this machine: until the first user is made, only the page of the setup link is served; "
    "banken setup-link prints the link (ops/docs/operations.md#access)"
)
NO_ROLE = (
    "web.trusted_proxies: until the first user is made, nobody whom a proxy lets in has rights; "
    "access.proxy.roles can give roles to them (ops/docs/proxy.md#access)"
)
READABLE = "is beyond this machine: readers need a token for RTSP, and their video is not encrypted (ops/docs/rtsp.md)"
EXPOSED = (
    "is beyond this machine, and banken asks nobody who they are: whoever reaches it can watch and control; "
    "listen on 127.0.0.1 and put a proxy with a password in front (ops/docs/proxy.md)"
)
OPEN_ARGUMENTS = (
    "arguments that look secret can be read by every user of this machine; an HTTP or HTTPS address is handed over "
    "in secret if the list begins with -i and the address"
)


@attrs.frozen
class Timeouts:
    """How long the steps of a connection to a camera may take, in seconds; see `settings.TIMEOUTS`."""

    connect_s: float = 10.0
    answer_s: float = 10.0
    first_picture_s: float = 15.0
    stall_s: float = 0.0
    """0: `auto`, which is 6 s or more, by the camera's usual interval between two pictures."""

    def named(self, key: str) -> str:
        """A time limit for the end of a reason, with the setting that changes it: `10 s; timeouts: answer`."""
        return f"{getattr(self, f'{key}_s'):g} s; timeouts: {key}"


@attrs.frozen
class Encoding:
    """The bounds of a rendition: what the video transcoder makes of a camera's video."""

    height: int = 1080
    """In pixels. A larger video is made smaller, with the same proportions."""
    fps: int = 30
    """Frames per second. Further ones are left out."""
    bitrate: int = 4_000_000
    """Bits per second."""
    threads: int = 1
    """Threads of the encoder."""


ARCHIVE = "recordings"
"""The name of the archive of `record.path`."""


@attrs.frozen
class ArchiveSettings:
    """A folder for recordings."""

    path: Path
    sync_s: float
    reserve: int
    """Bytes of the file system that are left free."""
    keep_s: float
    """For recordings in which nothing was detected, of cameras without their own."""
    events_keep_s: float
    """For those in which something was detected."""
    max_bytes: int | None
    """None: as much as the file system has."""


@attrs.frozen
class RecordSettings:
    """How a camera is recorded, in addition to its mode. Times are seconds."""

    keep_s: float = 14 * 86_400.0
    """For how long recordings are kept in which nothing was detected."""
    events_keep_s: float = 30 * 86_400.0
    """For how long recordings are kept in which something was detected; at least `keep_s`."""
    before_s: float = 5.0
    """For how long before a detection is recorded."""
    after_s: float = 10.0
    """For how long after a detection is recorded."""
    labels: tuple[str, ...] = ()
    """The labels of the detections that count; empty: all."""
    audio: bool = False
    """Whether audio that cannot be recorded as it comes is transcoded to Opus."""
    max_bytes: int | None = None
    """Of its recordings; None for as much as the archive has."""
    archive: str = ARCHIVE
    """The name of the archive."""


@attrs.frozen
class Source:
    """The input of a camera. It may hold secrets, so it is never shown and never journaled."""

    kind: str
    address: str
    """The URL, or the text after `kind:`."""
    arguments: tuple[str, ...] = ()
    """The list, for kinds that take one."""
    secrets: tuple[str, ...] = ()
    """Texts that are hidden whenever the source is shown."""
    via: str = ""
    """URL of the API of the go2rtc that opens the source. It may hold a password, too."""
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Environment variables of its child processes, in addition to the common ones. May hold secrets."""
    transport: str = "auto"
    """The transport of RTP from an RTSP camera: one of `settings.TRANSPORTS`."""
    audio: bool = True
    """Whether its audio is wanted."""
    timeouts: Timeouts = Timeouts()
    """Not a part of `summary`: a change ends no connection, and holds for the next one."""
    pin: str = ""
    """The SHA-256 of the camera's certificate in lower-case hexadecimal digits; empty: any certificate."""
    auth: str = "any"
    """How the password may be sent to an RTSP camera: one of `settings.AUTHENTICATIONS`."""
    device: DeviceId | None = None
    mode: Mode = Mode.ALWAYS
    group: str = ""
    substream: CameraId | None = None
    transcode: Transcode = Transcode.AUTO
    encoding: Encoding = Encoding()
    """As `timeouts`: a change ends no connection."""
    privacy: tuple[str, ...] = ()
    """The times of the week in which the camera is private, as `domain.schedule` reads them."""
    record: RecordMode = RecordMode.OFF
    recording: RecordSettings = RecordSettings()
    """As `timeouts`: a change ends no connection."""

    @property
    def is_always_open(self) -> bool:
        """As that of `CameraSettings`."""
        return self.mode is Mode.ALWAYS or self.record in (RecordMode.ALWAYS, RecordMode.EVENTS)

    def summary(self, revision: int = 0) -> SourceSummary:
        shown = " ".join(self.arguments) if self.arguments else self.address
        return SourceSummary(kind=self.kind, url=redact(shown, self.secrets), revision=revision)


@attrs.frozen
class Detector:
    """A detector that banken runs, calls or reads. It may hold secrets, so it is never shown and never journaled."""

    name: str
    kind: str
    """`command`, `url` or `shm`."""
    address: str = attrs.field(default="", repr=False)
    """The URL, or the name of the shared memory."""
    arguments: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Program and arguments of `command`."""
    cameras: tuple[CameraId, ...] = ()
    """Its cameras; empty: all."""
    fps: float = 1.0
    """The most pictures of one camera a second that a `command` gets, or updates that are taken from `shm`."""
    every_s: float = 10.0
    """The shortest time between two pictures of one camera that a `url` gets."""
    format: str = "banken"
    """One of `settings.FORMATS`."""
    token: str = attrs.field(default="", repr=False)
    hints: Mapping[CameraId, str] = attrs.field(factory=dict, repr=False)
    """For `analyze-v1`: text or JSON about what a camera looks at."""
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Environment variables of `command`, in addition to the common ones. May hold secrets."""
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Texts that are hidden wherever something about it is shown."""


@attrs.frozen
class Daemon:
    """A program that banken runs beside its cameras. It may hold secrets, so it is never journaled as it is."""

    name: str
    arguments: tuple[str, ...] = attrs.field(repr=False)
    """Program and arguments, without secrets: a configuration with one there is refused."""
    provides: str = ""
    """The shared memory that it makes; empty: none."""
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Environment variables, in addition to the common ones. May hold secrets."""
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Texts that are hidden wherever something about it is shown."""


@attrs.frozen
class Config:
    """A valid configuration."""

    origin: str
    """The place from which it was read."""
    listen: tuple[str, int]
    """The address and the TCP port of the page and the API."""
    tls: str | TlsFiles
    """`auto`, `off`, or the files of a certificate."""
    log_format: str
    """One of `log.FORMS`."""
    log_level: str
    allow_origins: tuple[str, ...]
    """Other web origins whose pages may call the API."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    """Addresses of the proxies that are trusted to name the client."""
    forwarded: str
    """The family of headers that these proxies write: one of `settings.FORWARDED`."""
    rtsp: tuple[str, int] | None
    """The address and the TCP port at which readers connect; None: nobody reads."""
    ice_servers: tuple[str, ...]
    """`stun:` URLs, for banken and for the viewers; empty on a LAN."""
    not_live: str
    """`wait` or `refuse`: with `refuse` a viewer gets 409 while its camera fails, is retried, or waits for a slot.

    The first viewer of an idle camera opens it and waits, like all viewers until that attempt has failed. Without this
    setting, every viewer waits.
    """
    journal: Path
    state: Path | None
    """The folder of what is kept beside the journal; None: see `state_folder`."""
    archives: Mapping[str, ArchiveSettings]
    """The folders for recordings, by name."""
    retention: Retention
    anchor: AnchorSettings | None
    """Where anchors of the journal's chain are stored; None: nowhere."""
    limits: Limits
    timeouts: Timeouts
    """Those of a camera without its own."""
    encoding: Encoding
    """The bounds of all renditions."""
    devices: tuple[DeviceSettings, ...]
    patrol: Patrol
    policy: Policy
    """The rules by which detections are suggested."""
    cameras: Mapping[CameraId, Source]
    detectors: Mapping[str, Detector]
    """The detectors that banken runs, calls or reads, by name."""
    daemons: Mapping[str, Daemon]
    """The programs that banken runs beside its cameras, by name."""
    detector_token: str = attrs.field(repr=False)
    """The token that detectors must send. Without one, no detector may report. A secret."""
    secret: tuple[str, ...] = attrs.field(repr=False)
    """Values, and names before values, that the operator wants hidden in the output of every source and in the log."""
    settings: Mapping[str, Any] = attrs.field(repr=False)
    """The value of each setting by its name; those of cameras and devices are above."""
    oidc: LoginProvider | None = attrs.field(default=None, repr=False)
    """The login provider; None without one."""
    replaced: Mapping[str, str] = attrs.field(factory=dict)
    """The settings that an option or an environment variable has set, each with its name."""
    notes: tuple[str, ...] = ()
    """Warnings about the text itself, like a key with a former name."""

    @property
    def host(self) -> str:
        return self.listen[0]

    @property
    def port(self) -> int:
        return self.listen[1]

    @property
    def off(self) -> frozenset[str]:
        """The parts that are off: the names of their settings in `parts`."""
        return frozenset(
            name.removeprefix("parts.")
            for name, value in self.settings.items()
            if value is False and name.startswith("parts.")
        )

    @property
    def proxy_access(self) -> tuple[str, str, dict[Role, tuple[str, ...]]]:
        """The headers with user and groups (empty: not read), and for each role whom it is given to."""
        roles = {role: self.settings.get(f"access.proxy.roles.{role}") or () for role in PROXY_ROLES}
        user, groups = (self.settings.get(f"access.proxy.{name}_header") or "" for name in ("user", "groups"))
        return user, groups, roles

    @property
    def refuse_not_live(self) -> bool:
        return self.not_live == "refuse"

    def changed_at_start(self, running: "Config") -> list[str]:
        """The settings that differ from those of the `running` configuration and that only a start applies."""
        kept = (setting.name for setting in SETTINGS if not setting.reloadable)
        changed = [name for name in kept if self.settings.get(name) != running.settings.get(name)]
        return changed + ([] if self._other_archives() == running._other_archives() else ["archives"])

    def _other_archives(self) -> dict[str, ArchiveSettings]:
        """Those beside that of `record.path`, without a value that a reload may change."""
        others = {name: attrs.evolve(archive, events_keep_s=0.0) for name, archive in self.archives.items()}
        others.pop(ARCHIVE)
        return others

    @property
    def exposed(self) -> str:
        """The address if other machines may reach it; empty for loopback. A host name counts as reachable."""
        return _beyond(self.host, self.port)

    @property
    def is_secure(self) -> bool:
        """Whether the page is served over https."""
        return isinstance(self.tls, TlsFiles) or (self.tls == "auto" and bool(self.exposed))

    @property
    def exposure(self) -> str:
        """A warning in one line about a server without accounts; empty if there is no exposure."""
        return self.exposed and f"web.listen: {self.exposed} {EXPOSED}"

    @property
    def before_users(self) -> tuple[str, ...]:
        """The limits of a daemon without users, and what to do. One line each."""
        closed = self.exposed and f"web.listen: {self.exposed} {CLOSED}"
        roles = self.proxy_access[2].values()
        return tuple(filter(None, (closed, NO_ROLE if self.trusted_proxies and not any(roles) else "")))

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line each: former names, and arguments with secrets that every user can read."""
        open_to_all = [name for name, source in self.cameras.items() if shows_secrets(source.arguments, source.secrets)]
        arguments = f"ffmpeg of {listed(open_to_all)}: {OPEN_ARGUMENTS}" if open_to_all else ""
        return tuple(filter(None, (*self.notes, self._readable, arguments)))

    @property
    def _readable(self) -> str:
        """A line about readers beyond this machine; empty without such."""
        address = "" if self.rtsp is None else _beyond(*self.rtsp)
        return address and f"rtsp.listen: {address} {READABLE}"


def _beyond(host: str, port: int) -> str:
    """The address if other machines may reach it; empty for loopback."""
    shown = f"[{host}]" if ":" in host else host
    return "" if is_loopback(host) else f"{shown}:{port}"


def state_folder(config: Config) -> Path:
    """The folder of what the daemon keeps beside its journal; by default the one that holds the journal's folder."""
    return folder_of(config.state, config.journal)


Check = Callable[[Source], str | None]
"""Returns the error in a source of one kind, or None."""
