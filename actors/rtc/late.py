"""The way to a viewer's connection, whose modules are imported after the start: aiortc, and with it FFmpeg and OpenSSL.

Nothing that the daemon imports before it answers may import `connection`, `sender`, `runs` or `inside` but through here
or for their types.
"""

from typing import TYPE_CHECKING, Protocol

import trio

from supervisor.domain.values import Fault, Reason
from supervisor.late import Late, NotLoaded

from .offer import Candidate, Offer

if TYPE_CHECKING:
    from .fanout import Fanout, Viewer


def _make_certificate() -> None:
    """The first one takes 12 ms, and is made in the thread that imports."""
    from .dtls import certificate

    certificate()


VIEWERS = Late(["actors.rtc.connection"], packages=["av", "cryptography", "pylibsrtp"], finish=_make_certificate)


class Witness(Protocol):
    """Told what becomes of a connection."""

    def answered(self, answer: str) -> None:
        """`answer` is the SDP for the viewer."""
        ...

    def connected(self, viewer: "Viewer") -> None:
        """`viewer` is being sent the camera's pictures from now on."""
        ...

    def silent(self, seconds: float) -> None: ...

    def heard(self, seconds: float) -> None: ...


async def run_connection(
    offer: Offer,
    fanout: "Fanout",
    candidates: trio.MemoryReceiveChannel[Candidate],
    witness: Witness,
    *,
    ice_servers: tuple[str, ...],
    disconnected_after_s: float,
) -> Reason:
    """As `connection.run_connection`, for which the first viewers wait until it is imported.

    Cancellation: as there. Cleanup: as there.
    """
    try:
        await VIEWERS.load()
    except NotLoaded as error:
        return Reason("not-loaded", str(error), Fault.TEMPORARY)
    from .connection import run_connection as run

    return await run(
        offer, fanout, candidates, witness, ice_servers=ice_servers, disconnected_after_s=disconnected_after_s
    )
