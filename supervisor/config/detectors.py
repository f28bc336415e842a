"""The section `detectors`: programs and services that banken gives pictures to, or reads detections from."""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from ..base.redact import forms_of, tell_secrets
from ..domain.ids import CameraId
from ..journal.anchor import is_url
from .config import Detector
from .parse_context import place_of
from .problem_text import NAMED, listed
from .sections import Sections
from .table import NAME

KINDS: Mapping[str, frozenset[str]] = {
    "command": frozenset({"cameras", "env", "fps"}),
    "url": frozenset({"cameras", "every", "format", "hints", "token"}),
    "shm": frozenset({"cameras", "fps"}),
}
"""Each kind, by the setting that it needs, with the further ones that it has."""
RESERVED = "motion"
"""The name of banken's own detector."""
MOST = 32
"""Detectors."""
HINTED = "analyze-v1"
"""The format that has hints."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Detectors:
    """Reads all detectors."""

    def __init__(self, sections: Sections, cameras: Collection[str], common: Mapping[str, Any]) -> None:
        """`cameras`: those of the configuration. `common`: the values of settings that hold for all, by their names."""
        self._sections, self._reading, self._cameras, self._common = sections, sections.reading, cameras, common

    def read(self) -> dict[str, Detector]:
        """Each detector without an error."""
        section = self._sections.nodes.get(("detectors",))
        entries = self._reading.mapping(section, "detectors")
        if entries and not self._common["parts.detections"]:
            self._reading.complain(section, "detectors need parts.detections to be on")
        if len(entries) > MOST:
            self._reading.complain(section, f"detectors has {len(entries)} entries; at most {MOST} are allowed")
            return {}
        found = {name: self._detector(name, node) for name, node in entries.items()}
        return {name: detector for name, detector in found.items() if detector is not None}

    def _detector(self, name: str, node: yaml.Node) -> Detector | None:
        nodes, complain = self._sections.nodes, self._reading.complain
        path = ("detectors", name)
        if not _NAME.fullmatch(name):
            complain(node, f"detector name {name!r} must be of a-z, 0-9, - and _, at most 32, and begin with a letter")
        elif name == RESERVED:
            complain(node, f"detector name {name!r} is that of banken's own detector; choose another")
        prefix = f"detectors.{NAME}"
        values = {
            key.removeprefix(f"{prefix}."): value for key, value in self._sections.read(prefix, node, path).items()
        }
        given = [kind for kind in KINDS if (*path, kind) in nodes]
        if len(given) != 1:
            if isinstance(node, yaml.MappingNode):
                complain(node, f"detector {name!r} needs exactly one of: {' or '.join(KINDS)}")
            return None
        (kind,) = given
        for key, of in self._foreign(path, kind):
            complain(nodes[*path, key], f"detector {name!r}: only a detector with {of} has {key}")
        at = nodes[*path, kind]
        self._check_value(name, kind, values, at)
        stated = [text for key in ("command", "env") for text in self._sections.found[*path, key]]
        if tell_secrets(values["command"], stated):
            text = "can be read by every user of this machine; hand it over by `env`"
            complain(at, f"a password in the command of detector {name!r}, or a value from the environment, {text}")
            return None
        self._check_cameras(name, path, values)
        if kind == "shm" and len(values["cameras"]) != 1:
            complain(node, f"detector {name!r} needs `cameras` with the one camera that its shared memory is about")
        if kind == "url" and values["hints"] and values["format"] != HINTED:
            complain(nodes[*path, "hints"], f"detector {name!r}: only `format: {HINTED}` has hints")
        found = (self._sections.found[*path, key] for key in ("command", "url", "env", "token"))
        secrets = [*(text for texts in found for text in texts), *_passwords(values["url"]), values["token"]]
        hidden = dict.fromkeys((*forms_of(tuple(filter(None, secrets))), *self._reading.hidden))
        return Detector(
            name=name,
            kind=kind,
            address=values[kind] if kind != "command" else "",
            arguments=values["command"],
            cameras=tuple(map(CameraId, values["cameras"])),
            fps=values["fps"],
            every_s=values["every"],
            format=values["format"],
            token=values["token"],
            hints={CameraId(camera): text for camera, text in values["hints"].items()},
            env=values["env"],
            secrets=tuple(hidden),
        )

    def _foreign(self, path: tuple[str, ...], kind: str) -> list[tuple[str, str]]:
        """The settings that this kind does not have, each with the kinds that have it."""
        keys = dict.fromkeys(key for allowed in KINDS.values() for key in sorted(allowed))
        return [
            (key, " or ".join(each for each, allowed in KINDS.items() if key in allowed))
            for key in keys
            if key not in KINDS[kind] and (*path, key) in self._sections.nodes
        ]

    def _check_value(self, name: str, kind: str, values: Mapping[str, Any], at: yaml.Node) -> None:
        if kind == "command" and not values["command"] and isinstance(at, yaml.SequenceNode) and not at.value:
            self._reading.complain(at, f"command of detector {name!r} is empty; write a program and its arguments")
        if kind == "url" and values["url"] and not is_url(values["url"]):
            text = f"url of detector {name!r} must be like http://HOST:PORT/PATH or https://HOST/PATH"
            self._reading.complain(at, text)

    def _check_cameras(self, name: str, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
        for key in ("cameras", "hints"):
            unknown = [each for each in values[key] if each not in self._cameras]
            if unknown:
                node = self._sections.nodes[*path, key]
                shown = "a camera" if place_of(node) else repr(unknown[0][:64])
                some = listed(list(self._cameras)[: NAMED + 1], len(self._cameras))
                self._reading.complain(node, f"{key} of detector {name!r} names {shown}; cameras: {some}")


def _passwords(url: str) -> list[str]:
    """The password of an address, as it is written and as it is sent."""
    try:
        password = urlsplit(url).password if url else None
    except ValueError:
        return []
    return [password, unquote(password)] if password else []
