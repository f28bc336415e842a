"""Rooms over their WebSocket, as any client meets them."""

from supervisor.domain import signaling as s
from tests.kit.site import open_site
from web.room_client import open_room_client


async def test_an_offer_reaches_the_one_it_is_for() -> None:
    async with open_site() as site, open_room_client(site.url) as alice, open_room_client(site.url) as bob:
        room = await alice.create()
        assert await alice.receive() == s.RoomParticipants(room.room_id, (room.self_id,))
        present = await bob.join(room.room_id)
        assert present.participants == (room.self_id, bob.self_id)
        assert await alice.receive() == s.PeerConnected(bob.self_id)
        await bob.send(s.Offer(room.self_id, "v=0"))
        assert await alice.receive() == present
        assert await alice.receive() == s.OfferFrom(bob.self_id, "v=0")
