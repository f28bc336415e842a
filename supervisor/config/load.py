"""Reads a configuration: a file in YAML, and the variables and options that replace its settings."""

import os
import socket
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..base.redact import redact
from ..domain.values import Limits, Patrol, Policy
from ..domain.words import size
from ..journal.anchor import AnchorSettings, is_url
from ..journal.retention import Retention
from .archives import ArchivesReader
from .cameras import Cameras
from .config import Check, Config, Encoding, Timeouts
from .daemons import DaemonReader
from .detectors import Detectors
from .login_provider import read_provider
from .parse_context import ParseContext, compose, place_of
from .problem_text import ConfigError, yaml_reason
from .sections import Sections
from .settings import SETTINGS
from .state_folder import MAX_SOCKET_PATH, control_in, folder_of, length_of
from .table import Table

MAX_BYTES = 256 * 1024
"""Limit of the file. A thousand cameras need less; PyYAML may take ten seconds for each megabyte."""
GROUPS: Mapping[str, type] = {
    "limits": Limits,
    "patrol": Patrol,
    "policy": Policy,
    "retention": Retention,
    "timeouts": Timeouts,
    "encoding": Encoding,
}
"""Attributes of `Config` with several settings."""


def load(
    path: Path, environ: Mapping[str, str], kinds: Mapping[str, Check], options: Mapping[str, str] | None = None
) -> Config:
    """Read the configuration file at `path`. Raises `ConfigError` with every complaint."""
    return parse(read_text(path), str(path), environ, kinds, base=path.parent, options=options)


def read_text(path: Path) -> str:
    """The text of a configuration. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError([f"{path}: is larger than {size(MAX_BYTES)}, the limit of a configuration"])
        return data.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text (byte {error.start})"]) from None


def parse(
    text: str,
    origin: str,
    environ: Mapping[str, str],
    kinds: Mapping[str, Check],
    base: Path = Path(),
    options: Mapping[str, str] | None = None,
    table: Table = SETTINGS,
) -> Config:
    """Parse `text` as a configuration. Raises `ConfigError` with every complaint.

    Args:
        origin: the place of the text, for complaints.
        environ: variables for `${NAME}`, and those that replace settings.
        kinds: the check of each kind of source.
        base: the folder at which relative paths begin.
        options: texts that replace settings, by the names of these.
    """
    root = compose_root(text, origin)
    origin = origin.encode(errors="replace").decode()
    reading = ParseContext(origin, environ, base)
    sections = Sections(reading, table, options or {})
    values = sections.read("", root, ())
    reading.hidden = values["secret"]
    archives = ArchivesReader(sections, values).read()
    cameras = Cameras(sections, kinds, values, archives)
    sources = cameras.read()
    devices = tuple(cameras.read_devices(sources))
    detectors = Detectors(sections, cameras.names, values).read()
    daemons = DaemonReader(sections).read()
    for setting in table:
        if setting.per_camera and tuple(setting.name.split(".")) not in sections.nodes:
            values[setting.name] = max(values[setting.name], setting.per_camera * len(sources))
    values["transcoder.at_once"] = values["transcoder.at_once"] or 0
    anchor = _anchor(sections, values)
    oidc = read_provider(sections, values)
    _check_state(sections, values)
    _check_addresses(sections, values)
    if values["detections.motion"] and not values["parts.detections"]:
        reading.complain(sections.nodes["detections", "motion"], "detections.motion needs parts.detections to be on")
    sections.check_names()
    if complaints := reading.complaints:
        raise ConfigError(complaints)
    fields: dict[str, dict[str, Any]] = defaultdict(dict)
    for setting in table:
        if setting.field:
            group, _, name = setting.field.rpartition(".")
            fields[group][name] = values[setting.name]
    return Config(
        origin=origin,
        cameras=sources,
        devices=devices,
        detectors=detectors,
        daemons=daemons,
        archives=archives,
        anchor=anchor,
        oidc=oidc,
        settings=values,
        replaced=dict(sections.replaced()),
        notes=tuple(reading.warnings),
        **{group: kind(**fields[group]) for group, kind in GROUPS.items()},
        **fields[""],
    )


def compose_root(text: str, origin: str) -> yaml.Node | None:
    """The node of a whole document. Raises `ConfigError` for a text that is not YAML."""
    try:
        return compose(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{origin}:{line}: not YAML: {yaml_reason(error)}"]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            [f"{origin}:{line}: not YAML: the character U+{error.character:04X} is not allowed"]
        ) from None


def _anchor(sections: Sections, values: Mapping[str, Any]) -> AnchorSettings | None:
    """At least one of a file and a URL. The URL may hold a secret, so it is never shown completely."""
    file, url, every_s = (values[f"journal.anchor.{key}"] for key in ("file", "url", "every"))
    at = "journal", "anchor"
    nodes, complain = sections.nodes, sections.reading.complain
    given = [node for path, node in nodes.items() if path[:2] == at]
    if given and not any((*at, key) in nodes for key in ("file", "url")) and isinstance(given[0], yaml.MappingNode):
        complain(given[0], "journal.anchor needs a file or a url to note the end of the journal's chain in")
    if url and not is_url(url):
        complain(nodes[*at, "url"], "journal.anchor.url must be like https://HOST/PATH or http://HOST:PORT/PATH")
    if file is not None and _is_within(file, values["journal.path"]):
        complain(nodes[*at, "file"], "journal.anchor.file must be outside of the journal's folder")
    if file is not None and _is_within(file, Path(sections.reading.origin)):
        complain(nodes[*at, "file"], "journal.anchor.file is the configuration itself; name another file")
    return AnchorSettings(file, url, every_s) if file is not None or url else None


def _check_state(sections: Sections, values: Mapping[str, Any]) -> None:
    """The state folder is not in the journal's, and the path of its control socket is one that a socket can have."""
    nodes, complain = sections.nodes, sections.reading.complain
    given, journal = values["state.path"], values["journal.path"]
    if given is not None and _is_within(given, journal):
        complain(nodes["state", "path"], "state.path must be outside of the journal's folder")
    at = ("journal" if given is None else "state", "path")
    node, control = nodes.get(at), control_in(folder_of(given, journal))
    if (length := length_of(control)) > MAX_SOCKET_PATH:
        hidden = [*sections.found[at], *([str(control.parent)] if node is not None and place_of(node) else [])]
        complain(
            node,
            f"the path of the control socket, {redact(repr(str(control)), hidden)}, has {length} bytes, "
            f"and at most {MAX_SOCKET_PATH} are possible; set state.path to a folder with a shorter path",
        )


def _check_addresses(sections: Sections, values: Mapping[str, Any]) -> None:
    """The page and the RTSP server have different ports, unless each has another address."""
    web, rtsp = values["web.listen"], values["rtsp.listen"]
    if web is None or rtsp is None or web[1] != rtsp[1] or web[1] == 0:
        return
    hosts = {_address_of(host) for host, _ in (web, rtsp)}
    if len(hosts) == 1 or hosts & {"0.0.0.0", "::"}:
        problem = "rtsp.listen and web.listen are one address; set another port"
        sections.reading.complain(sections.nodes.get(("rtsp", "listen")), problem)


def _address_of(host: str) -> str:
    """The address that the kernel uses for a host; a name that must be looked up stays."""
    try:
        return socket.inet_ntoa(socket.inet_aton("127.0.0.1" if host.lower() == "localhost" else host))
    except OSError:
        return host


def _is_within(path: Path, other: Path) -> bool:
    """Whether `path` leads to `other`, or into that folder, through any links."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(other))
    except (OSError, ValueError):  # for a name that no file can have
        return False
