"""The entry to `connection`, whose modules are imported after the start: aiortc, and with it FFmpeg and OpenSSL.

A module that the daemon imports at its start must import `connection`, `sender`, `runs` and `library_internals` only
through this file, or for their types.
"""

from typing import TYPE_CHECKING, Protocol

import trio

from supervisor.base.background_import import BackgroundImport, NotLoaded
from supervisor.domain.values import Fault, Reason

from .offer import Candidate, SdpOffer

if TYPE_CHECKING:
    from .fanout import Joinable
    from .fanout_peer import FanoutPeer


def _make_certificate() -> None:
    """Make the first certificate. It takes 12 ms, in the thread that imports."""
    from .dtls import certificate

    certificate()


VIEWERS = BackgroundImport(
    ["actors.webrtc.connection"], packages=["av", "cryptography", "pylibsrtp"], finish=_make_certificate
)


class Witness(Protocol):
    """Gets the changes of a connection."""

    def answered(self, answer: str) -> None:
        """`answer` is the SDP for the viewer."""
        ...

    def connected(self, viewer: "FanoutPeer") -> None:
        """From now on, `viewer` gets the camera's video."""
        ...

    def silent(self, seconds: float) -> None:
        """The viewer has been silent for `seconds`."""
        ...

    def heard(self, seconds: float) -> None:
        """The viewer is heard again, after `seconds` of silence."""
        ...


class Connect(Protocol):
    async def __call__(
        self,
        offer: SdpOffer,
        fanout: "Joinable",
        candidates: trio.MemoryReceiveChannel[Candidate],
        witness: Witness,
        *,
        disconnected_after_s: float,
    ) -> Reason:
        """Serve one peer until its connection ends, and return the reason."""
        ...


async def run_connection(
    offer: SdpOffer,
    fanout: "Joinable",
    candidates: trio.MemoryReceiveChannel[Candidate],
    witness: Witness,
    *,
    ice_servers: tuple[str, ...] = (),
    disconnected_after_s: float,
) -> Reason:
    """As `connection.run_connection`. The first viewers wait for its import.

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
