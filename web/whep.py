"""WHEP: a viewer offers, we answer (draft-ietf-wish-whep, and RFC 9725 for what WHIP and WHEP share).

The address of a session ends in `PEER.SECRET`. The secret makes its holder the owner: it is given to nobody else, and
only its hash is kept, so that a viewer can be listed by its id without being in anybody's hands.
"""

from collections.abc import Sequence

from quart import Blueprint, Response, request

from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, LeaseId, PeerId
from supervisor.domain.values import Fault, Reason
from supervisor.gateway import Gates, Key, OfferError, hash_secret
from supervisor.kernel import Origin

from .client import client
from .problems import problem

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
MAX_SDP = 64 * 1024


def routes(gateway: Gates, ice_servers: Sequence[str]) -> Blueprint:
    whep = Blueprint("whep", __name__)

    @whep.post("/whep/<camera>", provide_automatic_options=False)
    async def open_session(camera: str) -> Response:
        _require_camera(camera)
        if request.mimetype != SDP:
            return _unsupported(SDP, "Accept-Post")
        if request.accept_mimetypes and not request.accept_mimetypes[SDP]:
            return problem(406, f"the answer is {SDP}, which the request does not accept")
        opened = await gateway.negotiate(CameraId(camera), await _body("an SDP offer"), client(), _key())
        response = Response(opened.answer, status=201, content_type=SDP)
        # Relative to `/whep/CAMERA`, so that both hold below any prefix of a proxy (RFC 9110, section 10.2.2).
        response.headers["Location"] = f"{opened.camera}/{opened.peer}.{opened.secret}"
        if opened.camera != camera:  # the viewer does not take its codec: this is its substream
            response.headers["Content-Location"] = opened.camera
        response.headers["ETag"] = _etag(opened.peer)
        response.headers["Accept-Patch"] = FRAGMENT
        response.headers["Cache-Control"] = "no-store"
        for url in ice_servers:
            response.headers.add("Link", f'<{url}>; rel="ice-server"')
        return response

    @whep.route("/whep/<camera>", methods=["OPTIONS"], provide_automatic_options=False)
    async def describe_endpoint(camera: str) -> Response:
        _require_camera(camera)
        return Response(b"", status=204, headers={"Accept-Post": SDP, "Allow": "POST, OPTIONS"})

    @whep.route("/whep/<camera>/<session>", methods=["OPTIONS"], provide_automatic_options=False)
    async def describe_session(camera: str, session: str) -> Response:
        _session(camera, session)
        return Response(b"", status=204, headers={"Accept-Patch": FRAGMENT, "Allow": "PATCH, DELETE, OPTIONS"})

    @whep.patch("/whep/<camera>/<session>", provide_automatic_options=False)
    async def add_candidates(camera: str, session: str) -> Response:
        peer, secret = _session(camera, session)
        if request.mimetype != FRAGMENT:
            return _unsupported(FRAGMENT, "Accept-Patch")
        if request.if_match.as_set() and not request.if_match.contains(peer):
            return problem(412, "this is not the current ICE session; read its ETag again")
        if request.if_match.star_tag:
            return problem(422, "ICE restarts are not done here; open a new session")
        await gateway.add_candidates(peer, secret, await _body("an SDP fragment"))
        return Response(b"", status=204)

    @whep.delete("/whep/<camera>/<session>", provide_automatic_options=False)
    async def close_session(camera: str, session: str) -> Response:
        peer, secret = _session(camera, session)
        left = Reason("left", "the viewer left", Fault.NONE)
        await gateway.submit(c.ClosePeer(peer, left, owner=hash_secret(secret)), Origin(f"client:{client()}"))
        return Response(b"", status=200)

    def _require_camera(camera: str) -> None:
        if camera not in gateway.state.cameras:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")

    def _session(camera: str, session: str) -> tuple[PeerId, str]:
        name, _, secret = session.partition(".")
        known = gateway.state.peers.get(PeerId(name))
        if known is None or known.camera != camera:
            raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
        return known.peer, secret

    return whep


def _key() -> Key | None:
    """The lease that the viewer is to live under, if it names one: `Banken-Lease: ID.SECRET`."""
    lease, _, secret = request.headers.get("Banken-Lease", "").strip().partition(".")
    return Key(LeaseId(lease), secret) if lease else None


async def _body(what: str) -> str:
    if request.content_length is not None and request.content_length > MAX_SDP:
        raise OfferError(413, f"{what} of {request.content_length} bytes; {MAX_SDP} are the most")
    try:
        text = (await request.get_data(cache=False, as_text=False, parse_form_data=False)).decode()
    except UnicodeDecodeError:
        raise OfferError(400, f"the body is not UTF-8, so it is not {what}") from None
    if len(text) > MAX_SDP:
        raise OfferError(413, f"{what} of {len(text)} bytes; {MAX_SDP} are the most")
    return text


def _unsupported(wanted: str, header: str) -> Response:
    response = problem(415, f"the body must be {wanted}, not {request.mimetype or 'of no stated type'}")
    response.headers[header] = wanted
    return response


def _etag(peer: PeerId) -> str:
    return f'"{peer}"'
