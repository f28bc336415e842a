"""The order of transports, and which refusals ask for the next one."""

from typing import get_args

import pytest

from actors.sources.rtsp import reasons
from actors.sources.rtsp.memory import OptionalStep
from actors.sources.rtsp.reasons import ENDED, Ended
from actors.sources.rtsp.transport import TransportRefused, is_refusal, order, refusal, silence_advice
from actors.sources.rtsp.transport_header import Transport
from supervisor.config.settings import TRANSPORTS
from supervisor.domain.values import Fault, Reason

REFUSED = reasons.refusal(500)


@pytest.mark.parametrize(
    ("setting", "tls", "played", "expected"),
    [
        ("auto", False, [], ("tcp", "udp")),
        ("auto", False, ["tcp", "udp"], ("tcp", "udp")),
        ("auto", False, ["udp", "tcp"], ("udp", "tcp")),
        ("auto", False, ["multicast"], ("tcp", "udp")),
        ("auto", True, ["udp"], ("tcp",)),
        ("udp", False, ["tcp"], ("udp", "tcp")),
        ("tcp", False, ["udp"], ("tcp",)),
        ("http", True, [], ("http",)),
        ("multicast", False, [], ("multicast",)),
    ],
)
def test_order_follows_the_setting_and_the_last_connection(
    setting: str, tls: bool, played: list[str], expected: tuple[str, ...]
) -> None:
    """`auto` begins with the transport of the last connection; TLS leaves it only the connection."""
    assert order(setting, tls, played) == expected


def test_tcp_in_doubt_is_requested_once_more() -> None:
    """Only `auto` returns to it; an explicit UDP stays first."""
    assert order("auto", False, ["udp"], is_tcp_in_doubt=True) == ("tcp", "udp")
    assert order("udp", False, ["udp"], is_tcp_in_doubt=True) == ("udp", "tcp")


@pytest.mark.parametrize(("unanswered", "last"), [(OptionalStep.TCP, "tcp"), (OptionalStep.UDP, "udp")])
def test_transport_without_an_answer_is_requested_last(unanswered: OptionalStep, last: str) -> None:
    """If there is another one."""
    for setting in ("auto", "udp"):
        assert order(setting, False, [], unanswered=unanswered)[-1] == last
    assert order("http", False, [], unanswered=unanswered) == ("http",)


def test_every_setting_has_an_order() -> None:
    """Each value of the setting leads to known transports, and each transport can be set."""
    assert {each for setting in TRANSPORTS for each in order(setting, False, [])} == set(get_args(Transport))
    assert set(get_args(Transport)) < set(TRANSPORTS)


@pytest.mark.parametrize(
    ("status", "played", "expected"),
    [(461, (), True), (461, ("tcp",), True), (406, (), True), (406, ("tcp",), False), (406, ("udp",), True),
     *[(status, (), True) for status in (403, 453, 503)], *[(status, ("tcp",), False) for status in (403, 453, 503)],
     *[(status, (), True) for status in (400, 404, 415, 451, 500, 501, 551)], (400, ("tcp",), True),
     *[(status, (), False) for status in (200, 302, 401)]],
)  # fmt: skip
def test_first_setup_refuses_the_transport_unless_its_status_names_another_cause(
    status: int, played: tuple[str, ...], expected: bool
) -> None:
    """A device that has played over TCP means access or capacity by 403, 406, 453 and 503."""
    assert is_refusal(status, "tcp", played) is expected


@pytest.mark.parametrize(
    ("status", "cause", "played", "expected"),
    [(461, None, ("tcp",), False), (0, ENDED, (), True), (500, REFUSED, (), False), (500, REFUSED, ("tcp",), True)],
)
def test_refusal_that_may_pass_is_doubtful(
    status: int, cause: Reason | None, played: tuple[str, ...], expected: bool
) -> None:
    """A hang-up may be the network's; a device that has played over TCP may have another error."""
    assert TransportRefused("tcp", status, cause).is_doubtful(played) is expected


def test_transport_that_was_never_requested_is_not_refused_by_the_camera() -> None:
    """Datagrams beside TLS, for example; a connection that ended at SETUP was asked."""
    assert not TransportRefused("udp", 0).was_asked
    assert TransportRefused("udp", 0, ENDED).was_asked
    assert TransportRefused("udp").was_asked


@pytest.mark.parametrize(
    ("transports", "text"),
    [
        (("tcp",), "the camera does not send RTP over TCP; try `transport: udp`"),
        (("multicast",), "does not send RTP over multicast; try `transport: auto`"),
        (("tcp", "udp"), "neither over TCP nor over UDP; try `transport: http`"),
    ],
)
def test_reason_of_a_refused_transport_names_the_line_to_type(transports: tuple[Transport, ...], text: str) -> None:
    """It is fatal, so the camera is probed rarely."""
    reason = refusal(transports)
    assert (reason.code, reason.fault) == ("unsupported-transport", Fault.FATAL)
    assert text in reason.text
    ended: Ended = TransportRefused("tcp", 406)
    assert (ended.status, "transport: udp" in ended.reason.text) == (406, True)


def test_reason_of_an_uncertain_refusal_is_the_first_one() -> None:
    """With its code and its fault; the line to type is added."""
    reason = refusal(("tcp", "udp"), REFUSED)
    assert (reason.code, reason.fault) == (REFUSED.code, REFUSED.fault)
    assert reason.text == f"{REFUSED.text}; over TCP as over UDP: try `transport: http`"
    assert "perhaps it does not send RTP over TCP: try `transport: udp`" in refusal(("tcp",), REFUSED).text


def test_silence_over_udp_names_the_setting() -> None:
    """Only datagrams can be blocked while the connection is open."""
    assert "`transport: tcp`" in silence_advice("udp")
    assert "`transport: auto`" in silence_advice("multicast")
    assert silence_advice("tcp") == silence_advice("http") == silence_advice("") == ""
