"""Signalling between a viewer and a server: SDP over WHEP or Janus's API. Blocking: a viewer waits for it anyway."""

import http.client
import json
import secrets
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import attrs

TIMEOUT_S = 20.0
PAYLOAD_TYPE = 102


@attrs.frozen
class Local:
    """The viewer's end of a connection."""

    ufrag: str
    pwd: str
    fingerprint: str
    """`sha-256 AB:CD:…`, of the viewer's certificate."""
    address: tuple[str, int]


@attrs.frozen
class Remote:
    """The server's end, from its description. `active`: the server starts the DTLS handshake."""

    ufrag: str
    pwd: str
    active: bool
    addresses: tuple[tuple[str, int], ...]


class Signalling(Protocol):
    """The signalling of one viewer with one server. Both methods raise `OSError` when the server refuses."""

    controlling: bool
    """Whether the viewer has the controlling role (RFC 8445), which belongs to the side that makes the offer."""

    def join(self, local: Local) -> Remote: ...

    def leave(self) -> None: ...


class Whep:
    """A WHEP viewer of `url`. A local address behind `#`, if any, is the source of its requests.

    `headers` are those of a login.
    """

    controlling = True

    def __init__(self, url: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self._url, _, self._source = url.partition("#")
        self._headers = headers
        self._session = ""

    def join(self, local: Local) -> Remote:
        offer = _offer(local).encode()
        status, body, location = _request("POST", self._url, offer, "application/sdp", self._source, self._headers)
        if status != 201:
            raise OSError(f"{self._url}: {status} {body[:200]!r}")
        self._session = location
        return _read(body.decode())

    def leave(self) -> None:
        if self._session:
            _request("DELETE", urljoin(self._url, self._session), source=self._source, headers=self._headers)


class Janus:
    """A viewer of mount point `mount` of Janus's streaming plugin, which makes the offers itself."""

    controlling = False

    def __init__(self, api: str, mount: int) -> None:
        self._api, self._mount, self._handle = api, mount, ""

    def join(self, local: Local) -> Remote:
        session = f"{self._api}/{self._ask(self._api, 'create')['data']['id']}"
        attached = self._ask(session, "attach", plugin="janus.plugin.streaming")
        self._handle = f"{session}/{attached['data']['id']}"
        self._ask(self._handle, "message", body={"request": "watch", "id": self._mount})
        offer = ""
        while not offer:
            status, body, _ = _request("GET", f"{session}?maxev=1")
            event = json.loads(body)
            if status != 200 or "error" in event or "error_code" in str(event.get("plugindata")):
                raise OSError(f"Janus refuses: {event}")
            offer = event.get("jsep", {}).get("sdp", "")
        answer = {"type": "answer", "sdp": _answer(local, offer)}
        self._ask(self._handle, "message", body={"request": "start"}, jsep=answer)
        self._ask(self._handle, "trickle", candidate={"completed": True})
        return attrs.evolve(_read(offer), active=True)

    def leave(self) -> None:
        if self._handle:
            self._ask(self._handle.rpartition("/")[0], "destroy")

    def _ask(self, url: str, verb: str, **more: object) -> Any:
        message = {"janus": verb, "transaction": secrets.token_hex(6), **more}
        _, body, _ = _request("POST", url, json.dumps(message).encode(), "application/json")
        answer = json.loads(body)
        if answer.get("janus") not in ("success", "ack"):
            raise OSError(f"Janus refuses: {answer}")
        return answer


def signalling(url: str) -> Signalling:
    """Return the signalling for an address of a `Plan`."""
    if url.startswith("janus+"):
        api, _, mount = url.removeprefix("janus+").partition("#")
        return Janus(api, int(mount))
    return Whep(url)


def fetch(url: str) -> str:
    """Return the body at `url`. Raises `OSError` for a status other than 200."""
    status, body, _ = _request("GET", url)
    if status != 200:
        raise OSError(f"{url}: {status}")
    return body.decode()


def _request(
    method: str,
    url: str,
    body: bytes = b"",
    kind: str = "",
    source: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes, str]:
    """Send a request; return status, body and `Location`. `source` is the local address of the request."""
    parts, local = urlsplit(url), (source, 0) if source else None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":  # of our daemon, whose certificate nobody has signed
        unverified = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_S, source_address=local, context=unverified
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, TIMEOUT_S, local)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, path, body or None, {**headers, **({"Content-Type": kind} if kind else {})})
        response = connection.getresponse()
        return response.status, response.read(), response.headers.get("Location", "")
    except http.client.HTTPException as error:
        raise OSError(f"{url}: {error!r}") from None
    finally:
        connection.close()


def _offer(local: Local) -> str:
    return _description(local, "0", PAYLOAD_TYPE, "42e01f", "actpass")


def _answer(local: Local, offer: str) -> str:
    # Passive: Janus starts the DTLS handshake when it is ready. An earlier ClientHello would be lost, and repeated only
    # after a second.
    payload_type, profile = int(_value(offer, "m=video ").split()[2]), "42e01f"
    return _description(local, _value(offer, "a=mid:"), payload_type, profile, "passive")


def _description(local: Local, mid: str, payload_type: int, profile: str, setup: str) -> str:
    host, port = local.address
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mid}"]
    lines += [f"m=video 9 UDP/TLS/RTP/SAVPF {payload_type}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}"]
    lines += [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.pwd}", f"a=fingerprint:{local.fingerprint}"]
    lines += [f"a=setup:{setup}", "a=recvonly", "a=rtcp-mux", f"a=rtpmap:{payload_type} H264/90000"]
    lines += [f"a=fmtp:{payload_type} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"]
    lines += [f"a=rtcp-fb:{payload_type} nack", f"a=rtcp-fb:{payload_type} nack pli"]
    lines += [f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"]
    return "\r\n".join([*lines, ""])


def _read(description: str) -> Remote:
    candidates = (line[12:].split() for line in description.splitlines() if line.startswith("a=candidate:"))
    usable = (c for c in candidates if c[1] == "1" and c[2].lower() == "udp" and ":" not in c[4] and c[7] == "host")
    return Remote(
        ufrag=_value(description, "a=ice-ufrag:"),
        pwd=_value(description, "a=ice-pwd:"),
        active=_value(description, "a=setup:") == "active",
        addresses=tuple(dict.fromkeys((c[4], int(c[5])) for c in usable)),
    )


def _value(description: str, start: str) -> str:
    """Return the rest of the first line that begins with `start`; empty without one."""
    return next((line[len(start) :] for line in description.splitlines() if line.startswith(start)), "")
