"""The sections `cameras` and `devices`: keys that the operator chooses, and rules between settings."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import yaml

from ..base.redact import forms_of, redact
from ..domain.ids import CameraId, DeviceId
from ..domain.substreams import circles
from ..domain.values import DeviceSettings, Mode, RecordMode, Transcode
from .config import ARCHIVE, ArchiveSettings, Check, Encoding, RecordSettings, Source, Timeouts
from .parse_context import place_of
from .problem_text import NAMED, listed, value_of
from .sections import Sections
from .settings import SETTINGS, TIMEOUTS
from .table import NAME, shown_source, sources_of

OTHERS = '`ffmpeg: ["-i", ADDRESS]` reads others'
LISTS = ("ffmpeg",)
"""Kinds of sources that take a list of arguments instead of an address."""
_CAMERA_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_AFTER_HOST = re.compile(r"[^:/@]*://(?:\[[^\]/@]*\]|[^:/?#@\[]*):(?P<rest>(?P<port>[^/?#@]*)[^@]*)")
_PORT = re.compile(r"0*\d{0,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]")


class Cameras:
    """Reads all cameras, and then the devices."""

    def __init__(
        self,
        sections: Sections,
        kinds: Mapping[str, Check],
        common: Mapping[str, Any],
        archives: Mapping[str, ArchiveSettings],
    ) -> None:
        """`common`: the values of settings that hold for all cameras, by their names."""
        self._archives = archives
        self._sections, self._reading, self._kinds, self._common = sections, sections.reading, kinds, common
        self.names: tuple[str, ...] = ()
        """The names of all cameras, also of those with errors."""
        self._substreams: dict[str, str] = {}
        """The name of the substream of each camera that has one."""

    def read(self) -> dict[CameraId, Source]:
        """Each camera without an error."""
        entries = self._reading.mapping(self._sections.nodes.get(("cameras",)), "cameras")
        self.names = tuple(entries)
        cameras = {}
        for name, node in entries.items():
            if not _CAMERA_NAME.fullmatch(name):
                self._reading.complain(
                    node,
                    f"camera name {name!r} must be of a-z, 0-9, - and _, at most 63, and begin with neither - nor _",
                )
            source = self._camera(name, node)
            if source is not None:
                hidden = tuple(dict.fromkeys((*forms_of(source.secrets), *self._reading.hidden)))
                cameras[CameraId(name)] = attrs.evolve(source, secrets=hidden)
        self._check_substreams()
        return cameras

    def _camera(self, name: str, node: yaml.Node) -> Source | None:
        """A camera is a URL, or a mapping with `source` or a kind that takes a list, like `ffmpeg`."""
        path = ("cameras", name)
        if isinstance(node, yaml.ScalarNode):
            source_key = yaml.ScalarNode("tag:yaml.org,2002:str", "source", node.start_mark, node.end_mark)
            node = yaml.MappingNode("tag:yaml.org,2002:map", [(source_key, node)], node.start_mark, node.end_mark)
        values = self._values("cameras", node, path)
        given = [key for key in ("source", *LISTS) if (*path, key) in self._sections.nodes]
        if len(given) != 1:
            if isinstance(node, yaml.MappingNode):
                self._reading.complain(node, f"camera {name!r} needs exactly one of: {' or '.join(('source', *LISTS))}")
            return None
        (key,) = given
        at = self._sections.nodes[*path, key]
        found = self._sections.found[*path, key]
        source = Source(key, key, values[key], found) if key in LISTS else _from_url(values[key], found)
        source = attrs.evolve(source, pin=values["tls.pin"].replace(":", "").lower())
        checked = self._checked(name, at, attrs.evolve(source, transport=values["transport"], auth=values["auth"]))
        if checked is None:
            return None
        self._check_sources(name, checked.address.partition(":")[0].lower())
        source = self._via(name, values["via"], checked)
        secrets = dict.fromkeys((*source.secrets, *self._sections.found[*path, "env"]))
        substream = values["substream"]
        if substream:
            self._substreams[name] = substream
        return attrs.evolve(
            source,
            env=values["env"],
            audio=values["audio"],
            timeouts=self._timeouts(values),
            secrets=tuple(secrets),
            device=DeviceId(values["device"]) if values["device"] else source.device,
            mode=Mode(values["mode"]),
            group=values["group"] or source.group,
            substream=CameraId(substream) if substream else None,
            transcode=Transcode(values["transcode"] or self._common["transcode"]),
            privacy=values["privacy"],
            record=self._record(name, values),
            recording=self._recording(name, values),
            encoding=Encoding(
                **{field.name: self._common[f"transcoder.{field.name}"] for field in attrs.fields(Encoding)}
            ),
        )

    def _record(self, name: str, values: Mapping[str, Any]) -> RecordMode:
        record = RecordMode(values["record.mode"])
        if record is not RecordMode.OFF and values["mode"] == Mode.PATROL.value:
            node = self._sections.nodes["cameras", name, "record"]
            self._reading.complain(
                node,
                f"camera {name!r} cannot be recorded, because a patrol opens it only now and then; remove one: "
                "record, or mode: patrol",
            )
        if record is RecordMode.EVENTS and not self._common["parts.detections"]:
            node = self._sections.nodes["cameras", name, "record"]
            self._reading.complain(node, f"camera {name!r}: record: events needs parts.detections to be on")
        return record

    def _recording(self, name: str, values: Mapping[str, Any]) -> RecordSettings:
        """The camera's own values, and the common ones for the others."""

        def has_own(key: str) -> bool:
            return ("cameras", name, *key.split(".")) in self._sections.nodes and values[key] is not None

        def chosen(key: str) -> Any:
            return values[key] if has_own(key) else self._common[key]

        archive = self._archive(name, chosen("record.archive"))
        keep_s = chosen("record.keep") if has_own("record.keep") else self._archives[archive].keep_s
        before_s, after_s = chosen("record.events.before"), chosen("record.events.after")
        events_keep_s = max(keep_s, chosen("record.events.keep"))
        labels, audio = chosen("record.events.labels"), chosen("record.audio")
        most = values["record.max_size"]
        return RecordSettings(keep_s, events_keep_s, before_s, after_s, labels, audio, most, archive)

    def _archive(self, camera: str, name: str) -> str:
        """The name of an archive; the usual one if it names no archive, which is an error."""
        if name in self._archives:
            return name
        own = ("cameras", camera, "record", "archive")
        node = self._sections.nodes.get(own, self._sections.nodes.get(("record", "archive")))
        self._reading.complain(node, f"there is no archive {name!r}; there are {listed(list(self._archives))}")
        return ARCHIVE

    def _timeouts(self, values: Mapping[str, Any]) -> Timeouts:
        """The camera's own, and the common ones for the others."""
        chosen = {key: values[f"timeouts.{key}"] for key in TIMEOUTS}
        return Timeouts(
            **{f"{key}_s": self._common[f"timeouts.{key}"] if own is None else own for key, own in chosen.items()}
        )

    def _values(self, group: str, node: yaml.Node | None, path: tuple[str, ...]) -> dict[str, Any]:
        """The values of one camera or device by their keys."""
        prefix = f"{group}.{NAME}"
        values = self._sections.read(prefix, node, path)
        return {name.removeprefix(f"{prefix}."): value for name, value in values.items()}

    def _checked(self, name: str, node: yaml.Node, source: Source) -> Source | None:
        if not source.address:
            return None
        check = self._kinds.get(source.kind)
        if check is None:
            addresses = [kind for kind in self._kinds if kind not in (*LISTS, "go2rtc")]
            known = ", ".join((*addresses, *(["rtsps"] if "rtsp" in addresses else [])))
            shown = redact(source.address, self._reading.hides(node, source.address)).partition(":")[0]
            shown = redact(shown, source.secrets)
            self._reading.complain(
                node,
                f"camera {name!r}: unknown kind of source {shown!r}; known: {known}; {OTHERS}",
            )
            return None
        problem = check(source)
        if problem:
            _, _, rest = source.address.partition(":")
            given = {source.address, rest, rest.lstrip("/"), f"/{rest.lstrip('/')}"} - {"", "/"}
            hidden = sorted(given, key=len, reverse=True) if place_of(node) else []
            self._reading.complain(node, f"camera {name!r}: {redact(problem, (*source.secrets, *hidden))}")
            return None
        return source

    def _check_sources(self, name: str, scheme: str) -> None:
        """Each setting of the camera must count for its kind of source."""
        for setting in SETTINGS:
            path = ("cameras", name, *setting.name.split(".")[2:])
            node = self._sections.nodes.get(path) if setting.sources else None
            if node is not None and scheme not in setting.sources:
                text = f"`{'.'.join(path[2:])}` counts only for {sources_of(setting)}, not for {shown_source(scheme)}"
                self._reading.complain(node, f"camera {name!r}: {text}; leave it out")

    def _via(self, name: str, url: str, source: Source) -> Source:
        """The source, opened by another server for banken."""
        path = ("cameras", name, "via")
        node = self._sections.nodes.get(path)
        if node is None or source.kind != "rtsp":
            return source
        try:
            parts = urlsplit(url)
            usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and not parts.query
            usable = usable and url.isascii() and not any(character.isspace() for character in url)
            password = parts.password
        except ValueError:
            usable, password = False, None
        found = self._sections.found[path]
        hidden = (*source.secrets, *found, *([password, unquote(password)] if password else ()))
        if source.pin:
            self._reading.complain(node, f"camera {name!r}: go2rtc compares no certificate; leave out via or tls.pin")
        elif not usable:
            shown = value_of(url, (*hidden, _behind_colon(url), *([url] if place_of(node) else ())))
            self._reading.complain(
                node, f"via of camera {name!r} must be a go2rtc's API like http://127.0.0.1:1984, not {shown}"
            )
        if source.auth == "digest":
            text = f"camera {name!r}: `auth: digest` does not bind the go2rtc of `via`; leave out one of them"
            self._reading.complain(node, text)
        return attrs.evolve(source, kind="go2rtc", via=url, secrets=tuple(dict.fromkeys(hidden)))

    def _check_substreams(self) -> None:
        """Each substream must be another camera, and substreams must not form a cycle."""
        names, nodes = set(self.names), self._sections.nodes
        for name, other in self._substreams.items():
            node = nodes["cameras", name, "substream"]
            if other == name:
                self._reading.complain(node, f"substream of camera {name!r} must be another camera, not itself")
            elif other not in names:
                others = listed([each for each in self.names[: NAMED + 2] if each != name], len(names) - 1)
                self._reading.complain(node, f"substream of camera {name!r} must name another camera: {others}")
        for cycle in circles(self._substreams):
            first = cycle.index(min(cycle))
            path = [*cycle[first:], *cycle[:first]]
            drawn = " → ".join([*path, path[0]]) if len(path) <= NAMED else f"{' → '.join(path[:NAMED])} → …"
            node = nodes["cameras", path[0], "substream"]
            self._reading.complain(node, f"cycle of substreams: {drawn}; leave out one of them")

    def read_devices(self, cameras: Mapping[CameraId, Source]) -> Iterator[DeviceSettings]:
        """The devices with a limit: those of the section, and those of a camera whose limit is a variable."""
        grouped: dict[str | None, list[CameraId]] = {}
        for camera, source in cameras.items():
            grouped.setdefault(source.device, []).append(camera)
        entries = self._reading.mapping(self._sections.nodes.get(("devices",)), "devices")
        for name in dict.fromkeys((*entries, *filter(None, grouped))):
            path = ("devices", name)
            most = self._values("devices", entries.get(name), path)["max_connections"]
            node = self._sections.nodes.get((*path, "max_connections"))
            if node is None:
                if name in entries:
                    self._reading.complain(
                        entries[name], f"device {name!r} needs max_connections, a whole number from 1"
                    )
                continue
            if most is None:
                continue
            of_it = grouped.get(name, [])
            always = sorted(camera for camera in of_it if cameras[camera].is_always_open)
            if not of_it:
                self._reading.complain(
                    node, f"no camera has the device {name!r}; name it as `device:` of one, or by its host"
                )
            elif len(always) > most:
                self._reading.complain(
                    node,
                    f"device {name!r} serves {most}, but {len(always)} cameras are always open: {listed(always)}; "
                    "give some of them `mode: on_demand`",
                )
            yield DeviceSettings(DeviceId(name), most)


def _from_url(url: str, found: tuple[str, ...]) -> Source:
    """A source by its address. `found`: the parts of it that come from the environment."""
    scheme = url.partition(":")[0].lower()
    secrets = list(found)
    try:
        password, host = urlsplit(url).password, urlsplit(url).hostname
    except ValueError:
        password = host = None
    if password:
        secrets += [password, unquote(password)]
    elif forgotten := _behind_colon(url):
        secrets.append(forgotten)
    kind = "rtsp" if scheme == "rtsps" else scheme
    if host and any(secret in host for secret in found):
        host = None  # it came from the environment: it must not be shown, so it names no device
    device = DeviceId(host) if host else None
    return Source(kind, url, secrets=tuple(secrets), device=device, group=_subnet(host or ""))


def _subnet(host: str) -> str:
    """The default patrol group: the /24 (IPv4) or /64 (IPv6) of the host. Hosts known by name form one group."""
    try:
        address = ip_address(host)
    except ValueError:
        return "others"
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def _behind_colon(url: str) -> str:
    """The text after `SCHEME://HOST:` if it is not a port and has no @: a password whose host is missing."""
    match = _AFTER_HOST.match(url)
    return "" if match is None or _PORT.fullmatch(match["port"]) else match["rest"]
