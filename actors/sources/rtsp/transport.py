"""Transports of RTP: the order in which they are requested, and which refusals ask for the next one. Pure.

Rules of this file:
- Only `auto` and `udp` have a next transport.
- 461 always refuses a transport. Any other refusal of the first SETUP may mean the transport, except 401. If the next
  transport is refused as well, the first refusal is the reason.
- A connection that ends at the first SETUP may have failed by the network. So the next connection begins with the same
  transport again, and only a second end there settles it.

Source: RFC 2326, sections 10.4 (SETUP) and 11.3 (statuses).
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from supervisor.domain.values import Fault, Reason

from .memory import OptionalStep
from .reasons import Ended
from .transport_header import Transport

UNSUPPORTED = 461
NOT_ACCEPTABLE = 406
"""The answer of some cameras instead of 461, and of others when they are full."""
_UNSURE = frozenset((403, NOT_ACCEPTABLE, 453, 503))
"""Statuses about access or capacity, with which some cameras refuse a transport."""


class TransportRefused(Ended):
    """The camera does not send its video over this transport.

    `status` of its answer: 0 if it was not asked, or if it ended the connection. `cause` is the reason if it is not
    certain that the transport was meant.
    """

    def __init__(self, transport: Transport, status: int = UNSUPPORTED, cause: Reason | None = None) -> None:
        super().__init__(cause or refusal((transport,)), status)
        self.transport, self.cause = transport, cause
        self.at = "SETUP" if self.has_hung_up else ""

    @property
    def has_hung_up(self) -> bool:
        return not self.status and self.cause is not None

    @property
    def was_asked(self) -> bool:
        return self.status > 0 or self.has_hung_up

    def is_doubtful(self, played: Collection[str]) -> bool:
        """Whether the next connection may succeed over this transport; `played` as for `is_refusal`."""
        return self.has_hung_up or (self.cause is not None and self.transport in played)


def order(
    setting: str,
    tls: bool,
    played: Sequence[str],
    is_tcp_in_doubt: bool = False,
    unanswered: OptionalStep | None = None,
) -> tuple[Transport, ...]:
    """Return the transports to request; each next one only after the camera has refused the one before.

    `setting` is one of `settings.TRANSPORTS`. `played` are the transports over which the camera, and then the others of
    its device, were last live. With `tls`, `auto` has only the encrypted connection. `is_tcp_in_doubt`: one connection
    has ended at SETUP over TCP, and `auto` requests it once more. `unanswered` is the step of the transport over which
    SETUP had no answer in the last attempt.
    """
    found = _order(setting, tls, played, is_tcp_in_doubt)
    return tuple(sorted(found, key=lambda each: unanswered is not None and STEPS.get(each) is unanswered))


def _order(setting: str, tls: bool, played: Sequence[str], is_tcp_in_doubt: bool) -> tuple[Transport, ...]:
    if setting == "udp":
        return ("udp", "tcp")
    if setting in ("tcp", "http", "multicast"):
        return (setting,)  # type: ignore[return-value]
    if tls:
        return ("tcp",)
    return ("udp", "tcp") if "udp" in played[:1] and not is_tcp_in_doubt else ("tcp", "udp")


def is_refusal(status: int, transport: Transport, played: Collection[str]) -> bool:
    """Whether this status of the first SETUP asks for another transport.

    `played`: the transports over which cameras of its device were last live. A device that has played over it means
    something else by `_UNSURE`. Cameras that have only the other transport use nearly every status: 400, 404, 415, 451,
    500, 501 and 551 have been seen.
    """
    if status in _UNSURE:
        return transport not in played
    return status >= 400 and status != 401


STEPS: dict[Transport, OptionalStep] = {"tcp": OptionalStep.TCP, "udp": OptionalStep.UDP}
"""The memory of a connection that has failed at SETUP over a transport, where there is another one."""
NAMES: dict[Transport, str] = {"tcp": "TCP", "udp": "UDP", "http": "HTTP", "multicast": "multicast"}
_OTHER_CAUSES = frozenset(("forbidden", "full"))
"""Codes of reasons that say enough."""
_OTHERS: dict[Transport, str] = {"tcp": "udp", "udp": "tcp", "http": "tcp", "multicast": "auto"}
"""The setting to try next."""


def refusal(transports: Sequence[Transport], cause: Reason | None = None) -> Reason:
    """Return the reason for a camera that has refused all of `transports`, in this order.

    `cause` is the first refusal, if it is not certain that the transport was meant.
    """
    if cause is not None and cause.code in _OTHER_CAUSES:
        return cause
    first, *others = (NAMES[each] for each in transports)
    other = "http" if others else _OTHERS[transports[0]]
    if cause is not None:
        over = (
            f"over {first} as over {' and '.join(others)}" if others else f"perhaps it does not send RTP over {first}"
        )
        return replace(cause, text=f"{cause.text}; {over}: try `transport: {other}`")
    if others:
        does = f"sends RTP neither over {first} nor over {' nor over '.join(others)}"
    else:
        does = f"does not send RTP over {first}"
    return Reason("unsupported-transport", f"the camera {does}; try `transport: {other}`", Fault.FATAL)


def silence_advice(transport: str) -> str:
    """Return the advice for a connection whose datagrams do not arrive; empty for other transports."""
    if transport == "udp":
        return "; allow UDP from the camera in the firewall, or try `transport: tcp` or `transport: http`"
    if transport == "multicast":
        return "; allow multicast in the network, or try `transport: auto`"
    return ""
