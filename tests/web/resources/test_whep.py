"""WHEP, request by request: what a viewer gets, and what everybody else gets."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, ChildId, DeviceId
from supervisor.domain.state import VIDEO
from supervisor.domain.values import DeviceSettings, Limits, Picture, Transcode
from tests.kit.domain import ASKED, FATAL, GATE, TEMPORARY, YARD, settings
from tests.kit.http import Answer, request
from tests.kit.site import ANSWER, OFFER, Site, open_site
from web.app import MAX_BODY, WebSettings

FRAGMENT = "application/trickle-ice-sdpfrag"
UNSUPPORTED = "urn:banken:problem:unsupported-codec"


def problem(answer: Answer) -> tuple[int, str]:
    """Status and detail of a problem document; any other answer fails here."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == answer.status
    return answer.status, answer.json["detail"]


async def test_an_offer_is_answered_and_its_owner_may_end_it() -> None:
    """201 with SDP, ETag and a location that only its owner knows; DELETE closes the peer."""
    async with open_site() as site:
        answer = await site.offer()
        (peer,) = site.core.kernel.state.peers
        assert (answer.status, answer.text, answer.headers["Content-Type"]) == (201, ANSWER, "application/sdp")
        assert answer.headers["Etag"] == f'"{peer}"'
        location = answer.location
        assert location.startswith(f"/whep/{GATE}/{peer}.")
        assert "Link" not in answer.headers
        assert (await site.delete(location)).status == 200
        assert site.core.types(f"peer/{peer}") == ["PeerOpened", "PeerClosing"]


async def test_ice_servers_are_given_as_links() -> None:
    """Each configured STUN server is a `Link` of relation `ice-server`."""
    async with open_site(settings=WebSettings(ice_servers=("stun:stun.example:3478",))) as site:
        assert (await site.offer()).headers["Link"] == '<stun:stun.example:3478>; rel="ice-server"'


async def test_only_the_owner_may_end_or_change_a_session() -> None:
    """Another tab knows the peer's id from the list; that is not enough."""
    async with open_site() as site:
        location = (await site.offer()).location
        known = (await site.get("/api/peers")).json["peers"][0]
        assert "owner" not in known
        for stranger in (f"/whep/{GATE}/{known['id']}", f"/whep/{GATE}/{known['id']}.guess"):
            assert problem(await site.delete(stranger))[0] == 403
            changed = await request(site.port, "PATCH", stranger, "a=end-of-candidates", {"Content-Type": FRAGMENT})
            assert problem(changed)[0] == 403
        assert (await site.delete(location)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/whep/nobody"),
        ("OPTIONS", "/whep/nobody"),
        ("PATCH", "/whep/gate/nobody.secret"),
        ("DELETE", "/whep/gate/nobody.secret"),
        ("OPTIONS", "/whep/gate/nobody.secret"),
        ("GET", "/nowhere"),
    ],
)
async def test_unknown_camera_session_or_path_is_404(method: str, path: str) -> None:
    """Unknown camera, unknown session and unknown path, whichever method asks."""
    async with open_site() as site:
        assert problem(await request(site.port, method, path, OFFER, {"Content-Type": "application/sdp"}))[0] == 404


async def test_a_session_belongs_to_its_camera() -> None:
    """The session under the path of another camera gets 404."""
    async with open_site(GATE, YARD) as site:
        location = (await site.offer(GATE)).location
        assert problem(await site.delete(location.replace(GATE, YARD)))[0] == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("garbage", {}, 400),
        (b"\xff\xfe", {}, 400),
        ("", {}, 400),
        (OFFER, {"Content-Type": "text/plain"}, 415),
        ("{}", {"Content-Type": "application/json"}, 415),
        (OFFER, {"Accept": "text/html"}, 406),
        ("v" * 100_000, {}, 413),
        (b"v" * (MAX_BODY + 1), {}, 413),
        (b"v" * (10 * 1024 * 1024), {}, 413),
    ],
)
async def test_body_that_is_not_an_offer_is_refused_and_opens_nothing(
    body: str | bytes, headers: dict[str, str], status: int
) -> None:
    """No event of a peer is written, and the next good offer is answered."""
    async with open_site() as site:
        answer = await request(site.port, "POST", f"/whep/{GATE}", body, {"Content-Type": "application/sdp", **headers})
        assert problem(answer)[0] == status
        assert site.core.types("peer/") == []
        assert (await site.offer()).status == 201


async def test_offer_beyond_the_limit_of_peers_gets_retry_after() -> None:
    """429 with the limit and its setting; after the peer has closed an offer is answered."""
    async with open_site(limits=Limits(peers=1)) as site:
        first = await site.offer()
        refused = await site.offer()
        assert problem(refused) == (429, "1 viewer in all is connected, the limit is 1 (limits.peers)")
        assert int(refused.headers["Retry-After"]) > 0
        (peer,) = site.core.kernel.state.peers
        await site.delete(first.location)
        site.core.kernel.emit(c.ReportPeerClosed(peer, FATAL))
        assert (await site.offer()).status == 201


async def test_a_camera_that_cannot_be_watched_says_why() -> None:
    """503 with the camera's reason, and a `Retry-After` above 5 s."""
    async with open_site() as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLoss(GATE, FATAL, 0.5))
        refused = await site.offer()
        status, detail = problem(refused)
        assert (status, FATAL.text in detail, int(refused.headers["Retry-After"]) > 5) == (503, True, True)


async def test_peer_whose_actor_does_not_answer_is_closed() -> None:
    """When the actor gives no answer, the peer that was opened is closed."""
    async with open_site() as site:
        site.actors.answers = False
        assert problem(await site.offer())[0] == 503
        assert not site.core.kernel.state.peers
        assert site.core.types("peer/") == ["PeerOpened", "PeerClosed"]


async def test_offer_gets_503_while_the_journal_cannot_write() -> None:
    """503, and not a trace of the request waits for the disk."""
    async with open_site() as site:
        site.core.disk.broken = True
        await site.offer()
        waiting = site.core.journal.statistics().pending
        refused = await site.offer()
        assert problem(refused)[0] == 503
        assert "Retry-After" in refused.headers
        assert site.core.journal.statistics().pending == waiting
        assert (await site.get("/api/health")).json["verdict"] == "critical"
        site.core.disk.broken = False


def sends(site: Site, camera: CameraId, codec: str) -> None:
    site.core.kernel.emit(c.ConnectCamera(camera))
    site.core.kernel.emit(c.ReportLive(camera, Picture(codec, 640, 360)))


async def test_viewer_without_the_codec_gets_the_substream_and_its_name() -> None:
    """Its session is one of that camera; who takes the codec gets what it asked for."""
    async with open_site(GATE, YARD) as site:
        both = (settings(GATE, substream=YARD), settings(YARD))
        site.core.kernel.emit(c.Configure("again", both, Limits()))
        before = await site.offer(GATE)
        assert before.location.startswith(f"/whep/{GATE}/")
        sends(site, GATE, "h265")
        for codec in (None, "h264"):
            if codec is not None:
                sends(site, YARD, codec)
            opened = await site.offer(GATE)
            assert (opened.status, opened.headers["Content-Location"]) == (201, YARD)
            assert opened.location.startswith(f"/whep/{YARD}/")
            assert (await site.delete(opened.location)).status == 200
        site.actors.codecs = ("h264", "h265")
        opened = await site.offer(GATE)
        assert opened.location.startswith(f"/whep/{GATE}/")
        assert "Content-Location" not in opened.headers


async def test_without_a_stream_that_suits_the_refusal_says_what_else_there_is() -> None:
    """Nothing is opened for it. With `transcode: auto`, it would be shown a rendition."""
    never = Transcode.NEVER
    async with open_site(GATE, YARD) as site:
        site.core.kernel.emit(c.Configure("never", (settings(GATE, transcode=never), settings(YARD)), Limits()))
        sends(site, GATE, "h265")
        refused = await site.offer(GATE)
        stills, helps = f"../cameras/{GATE}/stream.mjpeg", "`transcode: auto` transcodes it"
        assert refused.json == {
            "type": "urn:banken:problem:unsupported-codec",
            "title": "Not Acceptable",
            "status": 406,
            "detail": f"gate sends H.265, but the viewer offered only H.264; {helps}; see {stills}",
            "codec": "h265",
            "alternate": stills,
        }
        assert refused.headers["Link"] == f'<{stills}>; rel="alternate"; type="multipart/x-mixed-replace"'
        assert site.core.types("peer/") == []
        both = (settings(GATE, substream=YARD, transcode=never), settings(YARD, transcode=never))
        site.core.kernel.emit(c.Configure("again", both, Limits()))
        sends(site, YARD, "h265")
        assert "gate sends H.265 and yard sends H.265" in (await site.offer(GATE)).json["detail"]


async def test_viewer_of_a_camera_whose_codec_it_does_not_take_gets_the_rendition() -> None:
    """Unless other transcoders have taken all processors: the refusal then says so, and when to ask again."""
    async with open_site(GATE, YARD) as site:
        site.core.kernel.emit(c.Configure("one", (settings(GATE), settings(YARD)), Limits(transcoders=1)))
        sends(site, GATE, "mjpeg")
        sends(site, YARD, "mjpeg")
        assert (await site.offer(GATE)).status == 201
        child = c.PrepareChild(ChildId("video-1"), GATE, VIDEO, ())
        site.core.kernel.emit(child)
        assert (await site.offer(GATE)).status == 201
        refused = await site.offer(YARD)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert "the video of 1 camera is transcoded already; transcoder: at_once" in refused.json["detail"]


async def test_viewer_without_any_supported_codec_is_shown_the_way_to_snapshots() -> None:
    """Like a Firefox without its plugin for H.264; also where it is not known yet what the camera sends."""
    async with open_site() as site:
        site.actors.codecs = ()
        lacks = "but the viewer offered no H.264 up to the High profile, and no H.265"
        refused = await site.offer(GATE)
        assert (refused.status, refused.json["type"], refused.json["codec"]) == (406, UNSUPPORTED, None)
        assert f"gate has not sent a picture yet, {lacks}" in refused.json["detail"]
        sends(site, GATE, "h264")
        refused = await site.offer(GATE)
        assert (refused.status, refused.json["type"], refused.json["codec"]) == (406, UNSUPPORTED, "h264")
        assert f"gate sends H.264, {lacks}" in refused.json["detail"]
        assert 'rel="alternate"' in refused.headers["Link"]
        assert site.core.types("peer/") == []
        assert problem(await site.offer("nobody"))[0] == 404


async def test_viewer_of_a_camera_that_is_not_live_is_refused_where_that_is_configured() -> None:
    """409, and when to ask again; a camera at rest is opened by its viewers, so all of them are let in."""
    async with open_site(refuse_not_live=True) as site:
        assert (await site.offer()).status == 201
        site.core.kernel.emit(c.ConnectCamera(GATE))
        assert (await site.offer()).status == 201, "the second one, before the first picture"
        site.core.kernel.emit(c.ReportLive(GATE, Picture("h264", 640, 360)))
        site.core.kernel.emit(c.ReportStall(GATE, 2.0))
        assert (await site.offer()).status == 201, "its connection is open"
        site.core.kernel.emit(c.ReportLoss(GATE, FATAL, 0.5))
        refused = await site.offer()
        status, detail = problem(refused)
        assert (status, FATAL.text in detail, int(refused.headers["Retry-After"]) > 0) == (409, True, True)
        assert refused.json["type"] == "urn:banken:problem:conflict"
    async with open_site(YARD, refuse_not_live=True) as site:
        box = DeviceSettings(DeviceId("box"), 1)
        both = settings(YARD, device=box.device), settings(GATE, device=box.device)
        site.core.kernel.emit(c.Configure("test", both, Limits(), (box,)))
        site.core.kernel.emit(c.TakeSlot(YARD))
        assert (await site.offer(GATE)).status == 201
        site.core.kernel.emit(c.TakeSlot(GATE))
        status, detail = problem(await site.offer(GATE))
        assert (status, detail.startswith("gate is queued: ")) == (409, True)
    async with open_site() as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        assert (await site.offer()).status == 201, "as a rule a viewer waits"


async def test_viewer_of_a_camera_that_fails_is_refused_during_each_attempt_too() -> None:
    """409 from the first loss on, whatever runs, until the camera is live or has rested."""
    async with open_site(refuse_not_live=True) as site:

        async def status_after(command: c.Command) -> int:
            site.core.kernel.emit(command)
            return (await site.offer()).status

        connect, rest = c.ConnectCamera(GATE), c.RestCamera(GATE, ASKED)
        lost, fatal = c.ReportLoss(GATE, TEMPORARY, 0.5), c.ReportLoss(GATE, FATAL, 0.5)
        assert [await status_after(each) for each in (connect, lost, connect, lost)] == [201, 409, 409, 409]
        site.core.kernel.emit(connect)
        assert problem(await site.offer()) == (409, f"gate is connecting: {TEMPORARY.text}")
        assert [await status_after(each) for each in (rest, connect)] == [201, 201], "at rest, its viewers open it"
        live = c.ReportLive(GATE, Picture("h264", 640, 360))
        assert [await status_after(each) for each in (live, lost, rest)] == [201, 409, 201]
        assert [await status_after(each) for each in (connect, fatal, connect)] == [201, 409, 409]


async def test_viewer_is_refused_during_each_attempt_that_has_waited_for_a_slot() -> None:
    """The wait is the newer reason, and does not hide that the attempt before it failed."""
    async with open_site(YARD, refuse_not_live=True) as site:
        box = DeviceSettings(DeviceId("box"), 1)
        both = settings(YARD, device=box.device), settings(GATE, device=box.device)
        take, connect = c.TakeSlot(GATE), c.ConnectCamera(GATE)
        first = (c.Configure("test", both, Limits(), (box,)), take, connect)
        again = (c.ReportLoss(GATE, TEMPORARY, 0.5), c.FreeSlot(GATE, ASKED), c.TakeSlot(YARD), take)
        for command in first:
            site.core.kernel.emit(command)
        assert (await site.offer(GATE)).status == 201
        for later in (*again, c.FreeSlot(YARD, ASKED), take, connect):
            site.core.kernel.emit(later)
        assert problem(await site.offer(GATE)) == (409, "gate is connecting")


async def test_candidates_may_follow() -> None:
    """PATCH with or without the ETag gets 204; another ETag 412, `*` (ICE restart) 422, another type 415."""
    async with open_site() as site:
        opened = await site.offer()
        location, etag = opened.location, opened.headers["Etag"]
        fragment = "a=ice-ufrag:abcd\r\na=end-of-candidates\r\n"

        async def patch(**headers: str) -> Answer:
            fields = {"Content-Type": FRAGMENT, **{k.replace("_", "-"): v for k, v in headers.items()}}
            return await request(site.port, "PATCH", location, fragment, fields)

        assert (await patch()).status == 204
        assert (await patch(If_Match=etag)).status == 204
        assert [text for _, text in site.actors.candidates] == [fragment, fragment]
        assert problem(await patch(If_Match='"another"'))[0] == 412
        assert problem(await patch(If_Match="*"))[0] == 422
        assert problem(await patch(Content_Type="text/plain"))[0] == 415


async def test_pages_of_listed_origins_may_call() -> None:
    """CORS: `Location` is readable for a listed Origin; a foreign Origin gets no header."""
    wall = "https://wall.example"
    async with open_site(settings=WebSettings(allow_origins=(wall,))) as site:
        preflight = await request(site.port, "OPTIONS", f"/whep/{GATE}", headers={"Origin": wall})
        assert preflight.headers["Access-Control-Allow-Origin"] == wall
        assert "Location" in preflight.headers["Access-Control-Expose-Headers"]
        other = await site.offer(Origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in other.headers


async def test_options_say_what_is_accepted() -> None:
    """`Accept-Post` and `Accept-Patch` with the types of WHEP; GET gets 405."""
    async with open_site() as site:
        endpoint = await request(site.port, "OPTIONS", f"/whep/{GATE}")
        assert (endpoint.status, endpoint.headers["Accept-Post"], endpoint.headers["Allow"]) == (
            204,
            "application/sdp",
            "POST, OPTIONS",
        )
        location = (await site.offer()).location
        session = await request(site.port, "OPTIONS", location)
        assert (session.status, session.headers["Accept-Patch"]) == (204, FRAGMENT)
        assert problem(await site.get(f"/whep/{GATE}"))[0] == 405
