"""WHEP, request by request: what a viewer gets, and what everybody else gets."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, Picture
from tests.kit.domain import FATAL, GATE, YARD, settings
from tests.kit.http import Answer, request
from tests.kit.site import ANSWER, OFFER, Site, open_site
from web.app import MAX_BODY, WebSettings

FRAGMENT = "application/trickle-ice-sdpfrag"


def problem(answer: Answer) -> tuple[int, str]:
    """Status and detail of a problem document; whatever is none fails here."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == answer.status
    return answer.status, answer.json["detail"]


async def test_an_offer_is_answered_and_its_owner_may_end_it() -> None:
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
async def test_what_does_not_exist_is_404(method: str, path: str) -> None:
    async with open_site() as site:
        assert problem(await request(site.port, method, path, OFFER, {"Content-Type": "application/sdp"}))[0] == 404


async def test_a_session_belongs_to_its_camera() -> None:
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
async def test_what_is_not_an_offer_is_refused_and_nothing_is_opened(
    body: str | bytes, headers: dict[str, str], status: int
) -> None:
    async with open_site() as site:
        answer = await request(site.port, "POST", f"/whep/{GATE}", body, {"Content-Type": "application/sdp", **headers})
        assert problem(answer)[0] == status
        assert site.core.types("peer/") == []
        assert (await site.offer()).status == 201


async def test_a_full_house_says_when_to_come_back() -> None:
    async with open_site(limits=Limits(peers=1)) as site:
        first = await site.offer()
        refused = await site.offer()
        assert problem(refused) == (429, "1 viewers in all are connected, 1 may be (limits.peers)")
        assert int(refused.headers["Retry-After"]) > 0
        (peer,) = site.core.kernel.state.peers
        await site.delete(first.location)
        site.core.kernel.emit(c.ReportPeerClosed(peer, FATAL))
        assert (await site.offer()).status == 201


async def test_a_camera_that_cannot_be_watched_says_why() -> None:
    async with open_site() as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLoss(GATE, FATAL, 0.5))
        refused = await site.offer()
        status, detail = problem(refused)
        assert (status, FATAL.text in detail, int(refused.headers["Retry-After"]) > 5) == (503, True, True)


async def test_a_place_that_came_to_nothing_is_given_back() -> None:
    async with open_site() as site:
        site.hands.answers = False
        assert problem(await site.offer())[0] == 503
        assert not site.core.kernel.state.peers
        assert site.core.types("peer/") == ["PeerOpened", "PeerClosed"]


async def test_nothing_is_promised_while_the_journal_cannot_write() -> None:
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


async def test_who_does_not_take_the_codec_is_given_the_substream_and_told_so() -> None:
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
        site.hands.codecs = ("h264", "h265")
        opened = await site.offer(GATE)
        assert opened.location.startswith(f"/whep/{GATE}/")
        assert "Content-Location" not in opened.headers


async def test_without_a_stream_that_suits_the_refusal_says_what_else_there_is() -> None:
    """Nothing is opened for it."""
    async with open_site(GATE, YARD) as site:
        sends(site, GATE, "h265")
        refused = await site.offer(GATE)
        stills = f"../cameras/{GATE}/stream.mjpeg"
        assert refused.json == {
            "type": "urn:banken:problem:unsupported-codec",
            "title": "Not Acceptable",
            "status": 406,
            "detail": f"gate sends H.265, but the viewer offered only H.264; see {stills}",
            "codec": "h265",
            "alternate": stills,
        }
        assert refused.headers["Link"] == f'<{stills}>; rel="alternate"; type="multipart/x-mixed-replace"'
        assert site.core.types("peer/") == []
        site.core.kernel.emit(c.Configure("again", (settings(GATE, substream=YARD), settings(YARD)), Limits()))
        sends(site, YARD, "h265")
        assert "gate sends H.265 and yard sends H.265" in (await site.offer(GATE)).json["detail"]


async def test_candidates_may_follow() -> None:
    async with open_site() as site:
        opened = await site.offer()
        location, etag = opened.location, opened.headers["Etag"]
        fragment = "a=ice-ufrag:abcd\r\na=end-of-candidates\r\n"

        async def patch(**headers: str) -> Answer:
            fields = {"Content-Type": FRAGMENT, **{k.replace("_", "-"): v for k, v in headers.items()}}
            return await request(site.port, "PATCH", location, fragment, fields)

        assert (await patch()).status == 204
        assert (await patch(If_Match=etag)).status == 204
        assert [text for _, text in site.hands.candidates] == [fragment, fragment]
        assert problem(await patch(If_Match='"another"'))[0] == 412
        assert problem(await patch(If_Match="*"))[0] == 422
        assert problem(await patch(Content_Type="text/plain"))[0] == 415


async def test_pages_of_listed_origins_may_call() -> None:
    wall = "https://wall.example"
    async with open_site(settings=WebSettings(allow_origins=(wall,))) as site:
        preflight = await request(site.port, "OPTIONS", f"/whep/{GATE}", headers={"Origin": wall})
        assert preflight.headers["Access-Control-Allow-Origin"] == wall
        assert "Location" in preflight.headers["Access-Control-Expose-Headers"]
        other = await site.offer(Origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in other.headers


async def test_options_say_what_is_accepted() -> None:
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
