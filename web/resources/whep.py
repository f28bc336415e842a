"""WHEP: the viewer sends an offer, banken answers (draft-ietf-wish-whep; RFC 9725 for the parts shared with WHIP).

Rules of this file:
- Only its owner changes or ends a session: a listing by id gives no control over the peer.
- The login with which a session was opened proves its owner. The URL is that of the peer and has no secret, so a proxy
  may log it. A client of WHEP uses this URL with its token, as always.
- Without a login the URL ends in `PEER.SECRET`. Only the owner receives the secret, and only its hash is stored. It may
  also be sent as `Banken-Peer: PEER.SECRET` to the URL without it, as our page does.
"""

from quart import Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, LeaseId, PeerId
from supervisor.domain.state import Peer
from supervisor.domain.values import Fault, Reason
from supervisor.ports.asking import origin_of
from supervisor.ports.viewing import Key, OfferError, hash_secret

from ..access import principal
from ..client import client
from ..problems import problem
from ..routes import Media, Proof, Right, Route, Web

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
MAX_SDP = 64 * 1024


async def open_session(web: Web, camera: str) -> Response:
    _require_camera(web, camera)
    if request.mimetype != SDP:
        return _unsupported(SDP, "Accept-Post")
    if request.accept_mimetypes and not request.accept_mimetypes[SDP]:
        return problem(406, f"the answer is {SDP}, which the request does not accept")
    opened = await web.gateway.negotiate(CameraId(camera), await _body("an SDP offer"), client(), _key())
    response = Response(opened.answer, status=201, content_type=SDP)
    # Relative to `/whep/CAMERA`, so that both work below any prefix of a proxy (RFC 9110, section 10.2.2).
    known = web.gateway.state.peers.get(opened.peer)
    shown = f".{opened.secret}" if known is None or not _is_own(known) else ""
    response.headers["Location"] = f"{opened.camera}/{opened.peer}{shown}"
    if opened.camera != camera:  # the viewer does not support the codec: this is the substream
        response.headers["Content-Location"] = opened.camera
    response.headers["ETag"] = _etag(opened.peer)
    response.headers["Accept-Patch"] = FRAGMENT
    response.headers["Cache-Control"] = "no-store"
    for url in web.settings.ice_servers:
        response.headers.add("Link", f'<{url}>; rel="ice-server"')
    return response


async def describe_endpoint(web: Web, camera: str) -> Response:
    _require_camera(web, camera)
    return Response(b"", status=204, headers={"Accept-Post": SDP, "Allow": "POST, OPTIONS"})


async def describe_session(web: Web, camera: str, session: str) -> Response:
    _session(web, camera, session)
    return Response(b"", status=204, headers={"Accept-Patch": FRAGMENT, "Allow": "PATCH, DELETE, OPTIONS"})


async def add_candidates(web: Web, camera: str, session: str) -> Response:
    peer, owner = _session(web, camera, session)
    if request.mimetype != FRAGMENT:
        return _unsupported(FRAGMENT, "Accept-Patch")
    if request.if_match.as_set() and not request.if_match.contains(peer):
        return problem(412, "this is not the current ICE session; read its ETag again")
    if request.if_match.star_tag:
        return problem(422, "ICE restarts are not supported; open a new session")
    await web.gateway.add_candidates(peer, owner, await _body("an SDP fragment"))
    return Response(b"", status=204)


async def close_session(web: Web, camera: str, session: str) -> Response:
    peer, owner = _session(web, camera, session)
    left = Reason("left", "the viewer left", Fault.NONE)
    await web.gateway.submit(c.ClosePeer(peer, left, owner=owner), origin_of(client()))
    return Response(b"", status=200)


def _require_camera(web: Web, camera: str) -> None:
    if not web.gateway.has_camera(CameraId(camera)):
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")


def _session(web: Web, camera: str, session: str) -> tuple[PeerId, str]:
    """The peer, and the hash of the secret that the client shows, or for which its login stands."""
    name, _, secret = session.partition(".")
    known = web.gateway.state.peers.get(PeerId(name))
    if known is None or known.camera != camera:
        raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
    if not secret:
        if _is_own(known):
            return known.peer, known.owner
        named, _, secret = request.headers.get("Banken-Peer", "").strip().partition(".")
        if secret and named != name:
            raise BadRequest("Banken-Peer names another session than the path")
    return known.peer, hash_secret(secret)


def _is_own(peer: Peer) -> bool:
    """Whether the principal of the request has opened the peer with its login."""
    return bool(peer.by) and peer.by == principal().name


def _key() -> Key | None:
    """Return the lease for the peer if the viewer names one: `Banken-Lease: ID.SECRET`."""
    lease, _, secret = request.headers.get("Banken-Lease", "").strip().partition(".")
    return Key(LeaseId(lease), secret) if lease else None


async def _body(what: str) -> str:
    if request.content_length is not None and request.content_length > MAX_SDP:
        raise OfferError(413, f"{what} of {request.content_length} bytes; at most {MAX_SDP} are allowed")
    try:
        text = (await request.get_data(cache=False, as_text=False, parse_form_data=False)).decode()
    except UnicodeDecodeError:
        raise OfferError(400, f"the body is not UTF-8, so it is not {what}") from None
    if len(text) > MAX_SDP:
        raise OfferError(413, f"{what} of {len(text)} bytes; at most {MAX_SDP} are allowed")
    return text


def _unsupported(wanted: str, header: str) -> Response:
    response = problem(415, f"the body must be {wanted}, not {request.mimetype or 'of no stated type'}")
    response.headers[header] = wanted
    return response


def _etag(peer: PeerId) -> str:
    return f'"{peer}"'


ENDPOINT, SESSION = "/whep/{camera}", "/whep/{camera}/{session}"
ROUTES = (
    Route(
        method="POST",
        path=ENDPOINT,
        right=Right.WATCH,
        handler=open_session,
        summary="Open a WHEP session.",
        body=Media(SDP),
        request="an SDP offer, at most 64 KiB. `Banken-Lease: ID.SECRET` puts the session under that lease.",
        status=201,
        answer=Media(SDP),
        response="the SDP answer (`application/sdp`); `Location` (the session, with the secret of its owner if there "
        "is no login), `ETag`, `Accept-Patch`, and a `Link` for each STUN server. `Content-Location` names the "
        "substream where that is sent instead",
        errors=(404, 406, 409, 413, 415),
    ),
    Route(
        method="OPTIONS",
        path=ENDPOINT,
        right=Right.NONE,
        handler=describe_endpoint,
        summary="Name the types that the endpoint takes.",
        status=204,
        response="`Accept-Post`, `Allow`",
        errors=(404,),
    ),
    Route(
        method="PATCH",
        path=SESSION,
        right=Right.WATCH,
        proof=Proof.OWNER,
        handler=add_candidates,
        summary="Add candidates of the viewer.",
        body=Media(FRAGMENT),
        request="candidates of the viewer; `If-Match` with the `ETag`, if any",
        status=204,
        response="they are known",
        errors=(400, 403, 404, 412, 415, 422),
    ),
    Route(
        method="DELETE",
        path=SESSION,
        right=Right.WATCH,
        proof=Proof.OWNER,
        handler=close_session,
        summary="Close the session.",
        response="the session is closing",
        errors=(403, 404),
    ),
    Route(
        method="OPTIONS",
        path=SESSION,
        right=Right.NONE,
        handler=describe_session,
        summary="Name the types that the session takes.",
        status=204,
        response="`Accept-Patch`, `Allow`",
        errors=(404,),
    ),
)
