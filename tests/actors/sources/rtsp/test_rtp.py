"""RTP packets in order, reordered, lost and malformed."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs
import pytest

from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp.reorder import PATIENCE_S, WINDOW, Reorder
from actors.sources.rtsp.rtcp import SenderReport
from actors.sources.rtsp.rtp import OF_STEP, PROOF, SILENCE_S, Track
from actors.sources.rtsp.timeline import TrackTimeline
from actors.sources.rtsp.video import Markers
from actors.sources.rtsp.video_h264 import H264Depacketizer
from tests.kit.media import access_units
from tests.kit.packets import packet, packets

GAP, RESTART = -1, -2
OURS, OTHER = 1, 9
"""SSRCs."""


@attrs.define
class Log:
    """The numbers in the payloads that were taken; `GAP` and `RESTART` where these were reported."""

    in_order: bool = False
    seen: list[int] = attrs.field(factory=list)
    loss: SourceLoss = attrs.field(factory=SourceLoss)
    track: Track = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.track = Track(96, self, TrackTimeline(90_000), self.loss, self.in_order, frozenset((110,)))

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        self.seen.append(int(data[at:stop]))

    def gap(self) -> None:
        self.seen.append(GAP)

    def restart(self) -> None:
        self.seen.append(RESTART)

    def take_all(self, *sent: bytes) -> "Log":
        for data in sent:
            self.track.receive(data, 0, len(data))
        return self

    def met(self, oddity: Oddity) -> int:
        return self.loss.oddities[oddity]

    def receive(self, *numbers: int, ssrc: int = 1) -> "Log":
        for number in numbers:
            data = b"before" + numbered(number, ssrc) + b"behind"
            self.track.receive(data, 6, len(data) - 6)
        return self


def numbered(number: int, ssrc: int = 1) -> bytes:
    return packet(b"%d" % number, number, 0, False, ssrc=ssrc)


def test_packets_in_order_pass_also_when_the_number_wraps() -> None:
    """Sequence number 0 follows 65,535, without a gap."""
    assert Log().receive(65_534, 65_535, 0, 1).seen == [65_534, 65_535, 0, 1]


def test_gap_is_reported_before_the_packet_after_it() -> None:
    """The depacketizer must discard the unfinished access unit first; two packets count as lost."""
    log = Log().receive(1, 2, 5)
    assert log.seen == [1, 2, GAP, 5]
    assert log.loss.lost == 2


def test_duplicate_or_late_packet_is_dropped_and_counted() -> None:
    """Each counts as late, over TCP, where no order is restored."""
    log = Log().receive(1, 2, 2, 3, 1, 4)
    assert log.seen == [1, 2, 3, 4]
    assert log.loss == SourceLoss(late=2)
    again = Log().receive(*range(1, 9), 5, 6, 9, 7, 8, 10)
    assert (again.seen, again.loss) == ([*range(1, 11)], SourceLoss(late=4)), "two in a row are no new count"


def test_a_sender_that_begins_a_new_count_is_followed() -> None:
    """The new count is accepted with its second packet, and none is lost; one alone could be a late one."""
    log = Log().receive(40_000, 40_001, 100, 101, 102)
    assert log.seen == [40_000, 40_001, GAP, 100, 101, 102]
    assert log.loss.late == 0
    assert Log().receive(40_000, 40_001, 100, 40_002).seen == [40_000, 40_001, 40_002]


def test_source_with_its_own_count_is_followed_after_three_packets_and_none_is_lost() -> None:
    """The packets that prove it were held."""
    log = Log().receive(1, 2).receive(500, 501, ssrc=OTHER)
    assert log.seen == [1, 2]
    log.receive(502, 503, ssrc=OTHER)
    assert log.seen == [1, 2, RESTART, 500, 501, 502, 503]
    assert (log.loss.lost, log.met(Oddity.NEW_SSRC), log.met(Oddity.FOREIGN_SSRC)) == (0, 1, 0)


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (lambda data: bytes([0x81]) + data[1:12] + bytes(4) + data[12:], True),  # a contributor
        (lambda data: bytes([0x90]) + data[1:12] + b"\xbe\xde\x00\x01abcd" + data[12:], True),  # an extension
        (lambda data: bytes([0xA0]) + data[1:] + b"\x00\x00\x03", True),  # padding
        (lambda data: bytes([0x40]) + data[1:], False),  # another version
        (lambda data: bytes([0x8F]) + data[1:], False),  # fifteen contributors that are missing
        (lambda data: bytes([0x90]) + data[1:12] + b"\xbe\xde\xff\xff", False),  # an extension beyond the end
        (lambda data: bytes([0xA0]) + data[1:], True),  # more padding than the packet has: it is payload
        (lambda data: data[:11], False),
        (lambda data: b"", False),
    ],
)
def test_optional_parts_of_an_rtp_header_are_skipped(make: Callable[[bytes], bytes], taken: bool) -> None:
    """Contributors, extension and possible padding are skipped; a header that exceeds the packet is malformed."""
    log = Log()
    data = make(numbered(7))
    log.track.receive(data, 0, len(data))
    assert (log.seen, log.loss.malformed) == (([7], 0) if taken else ([], 1))


def old(number: int, ssrc: int = OURS, kind: int = 96) -> bytes:
    """A packet of RTP version 0."""
    return bytes([0, kind]) + numbered(number, ssrc)[2:]


def test_version_0_is_taken_over_tcp_from_a_camera_that_has_no_other() -> None:
    """Counted once. A packet of another version first, or another payload type, and none is taken."""
    log = Log(in_order=True).take_all(*map(old, range(1, 9)))
    assert log.seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (log.met(Oddity.NO_VERSION), log.loss.malformed) == (1, 0)
    log = Log(in_order=True).take_all(numbered(1), old(2), old(3), old(4), numbered(2))
    assert log.seen == [1, 2]
    assert (log.met(Oddity.NO_VERSION), log.loss.malformed) == (0, 3)
    log = Log(in_order=True).take_all(old(1, kind=97), old(2, kind=0))
    assert (log.seen, log.loss.malformed) == ([], 2)


def test_version_0_over_udp_is_counted_and_not_taken() -> None:
    """STUN, which has the same first bits, is not counted as such."""
    stun = b"\x00\x60\x00\x00" + bytes.fromhex("2112a442") + bytes(12)
    log = Log().take_all(old(1), old(2), stun)
    assert (log.seen, log.met(Oddity.NO_VERSION), log.loss.malformed) == ([], 2, 3)


def test_other_payload_types_are_left_out_and_are_no_gap() -> None:
    """Their sequence numbers count as seen; with another SSRC they do not change the sender."""
    log = Log().receive(1)
    other = packet(b"2", 2, 0, False, number=13)
    log.track.receive(other, 0, len(other))
    assert log.receive(3).seen == [1, 3]
    stranger = packet(b"4", 4, 0, False, number=13, ssrc=9)
    log.track.receive(stranger, 0, len(stranger))
    assert log.receive(4).seen == [1, 3, 4]


def test_reports_say_what_was_lost() -> None:
    """The report block has the figures of RFC 3550, section 6.4.1."""
    log = Log()
    assert log.track.report(0) is None
    log.receive(65_535, 0, 2)
    log.track.hear(SenderReport(1, 0, 0, 77), now=10.0)
    report = log.track.report(now=10.5)
    assert report is not None
    assert (report.fraction_lost, report.lost, report.highest) == (64, 1, 65_535 + 3)
    assert (report.middle, report.delay) == (77, 32_768)
    again = log.receive(3).track.report(11)
    assert again is not None
    assert (again.fraction_lost, again.lost) == (0, 1)


# ── over UDP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def reordered(*numbers: int, every_s: float = 0.001) -> Log:
    log = Log()
    order = Reorder(log.track, lambda: 0)
    for index, number in enumerate(numbers):
        order.receive(numbered(number), index * every_s)
    return log


def test_disorder_is_put_in_order() -> None:
    """Two of eight packets count as reordered; none is lost or late."""
    log = reordered(1, 3, 2, 4, 7, 6, 5, 8)
    assert log.seen == list(range(1, 9))
    assert (log.loss.lost, log.loss.late) == (0, 0)
    assert log.loss.reordered == 2


def test_any_shuffle_within_the_window_is_put_in_order() -> None:
    """50 random orders of 300 packets, each displaced by less than the window of 64."""
    rng = random.Random(3)
    for _ in range(50):
        numbers = [0, *sorted(range(1, 300), key=lambda number: number + rng.uniform(0, WINDOW - 2))]
        log = reordered(*numbers, every_s=0)
        assert log.seen == list(range(300))


def test_a_packet_that_is_lost_is_waited_for_a_moment() -> None:
    """Packets wait for 0.1 s; then come the gap and the packets after it."""
    within = int(PATIENCE_S / 0.01)
    log = reordered(0, *range(2, 2 + within - 1), every_s=0.01)
    assert log.seen == [0]
    log = reordered(0, *range(2, 2 + within + 2), every_s=0.01)
    assert log.seen[:3] == [0, GAP, 2]


def test_no_more_than_a_window_waits() -> None:
    """The limit of 64 holds even if no time passes."""
    log = reordered(0, *range(2, WINDOW + 3), every_s=0)
    assert log.seen == [0, GAP, *range(2, WINDOW + 3)]


def test_duplicates_of_what_waits_are_counted_once_each() -> None:
    """Each of the two repeated packets counts as late."""
    log = reordered(0, 2, 2, 1, 1)
    assert log.seen == [0, 1, 2]
    assert log.loss.late == 2


def test_a_new_count_over_udp_is_followed() -> None:
    """Two consecutive numbers confirm it; the first packet waits for the second, since it may be a late one."""
    log = reordered(40_000, 5, 6, 7)
    assert log.seen == [40_000, GAP, 5, 6, 7]


@pytest.mark.parametrize("step", [0, 2, 3, -1, 1000])
@pytest.mark.parametrize("begin", [0, 65_530])
def test_steps_over_udp_that_are_never_one_are_not_believed(step: int, begin: int) -> None:
    """All packets are taken, in the order of arrival, and counted as odd; none counts as lost or late."""
    log = Log()
    order = Reorder(log.track, lambda: 0)
    for number in range(40):
        order.receive(packet(b"%d" % number, (begin + step * number) & 0xFFFF, 0, False, ssrc=OURS), number * 0.04)
    assert log.seen == list(range(40))
    assert (log.loss.lost, log.loss.late, log.loss.reordered) == (0, 0, 0)
    assert log.met(Oddity.SEQUENCE) == 39


def test_numbers_over_udp_are_believed_once_they_count() -> None:
    """After three steps of one in a row, loss is noticed and order restored again."""
    log = reordered(*range(0, 40, 2), *range(39, 50), 52, 51, 54, 55, every_s=0.2)
    assert log.seen == [*range(0, 40, 2), *range(39, 50), GAP, 51, 52, GAP, 54, 55]


@pytest.mark.parametrize(
    "numbers",
    [(0, 2, 1, 3), (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), (0, 3, 2, 1, 4), (0, 1, 3, 2), (0, 0, 0, 1, 2)],
)
def test_first_packets_of_an_honest_camera_are_put_in_order(numbers: tuple[int, ...]) -> None:
    """One step that differs from the others, or that is one, is enough."""
    log = reordered(*numbers, every_s=0.001)
    assert log.seen == sorted(set(numbers))
    assert log.met(Oddity.SEQUENCE) == 0


def test_late_packet_of_the_ssrc_before_this_one_is_dropped_and_no_foreign_one() -> None:
    """Two SSRCs by turns in one count over UDP: both are still accepted afterwards."""
    log = Log().receive(1, 2).receive(3, ssrc=OTHER).receive(2).receive(4, ssrc=OTHER).receive(1).receive(5, 6)
    assert log.receive(7, ssrc=OTHER).seen == [1, 2, 3, 4, 5, 6, 7]
    assert (log.loss.late, log.met(Oddity.FOREIGN_SSRC)) == (2, 0)


def test_another_ssrc_that_continues_the_sequence_waits_for_the_late_packet() -> None:
    """Datagrams of a new SSRC that arrive in the wrong order are sorted as well."""
    log = Log()
    order = Reorder(log.track, lambda: 0)
    for number, ssrc in ((1, OURS), (3, OTHER), (2, OTHER), (4, OTHER)):
        order.receive(numbered(number, ssrc), 0.0)
    assert log.seen == [1, 2, 3, 4]


# ── other sources on the channel ────────────────────────────────────────────────────────────────────────────────────


@attrs.define
class Sender:
    """Packets of one source: pictures of three packets with numbered payloads, the last one with the marker."""

    ssrc: int = OURS
    sequence: int = 1000
    timestamp: int = 90_000
    number: int = 96
    sent: int = 0

    def picture(self, packets: int = 3) -> list[bytes]:
        self.timestamp += 3000
        return [self.next(last=place == packets - 1) for place in range(packets)]

    def next(self, last: bool = False) -> bytes:
        made = packet(b"%d" % self.sent, self.sequence, self.timestamp, last, number=self.number, ssrc=self.ssrc)
        self.sequence, self.sent = self.sequence + 1, self.sent + 1
        return made


def both(in_order: bool = True) -> tuple[Log, Sender, Sender]:
    return Log(in_order), Sender(), Sender(OTHER, 41_000, 0, sent=1000)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize(
    "ssrcs",
    [
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3],  # with every GOP
        [1, 2, 3, 4, 5, 6, 7, 8, 9],  # with every packet
        [7, 0, 7, 7, 0, 0, 7, 0, 7],  # 0 in some packets
        [7, 7, 7, 8, 8, 8, 7, 7, 7, 8, 8, 8],  # two by turns
    ],
)
def test_new_ssrc_that_continues_the_sequence_is_no_gap(ssrcs: list[int], in_order: bool) -> None:
    """Every packet is taken, over TCP and UDP, and each change is counted."""
    log, ours, _ = both(in_order)
    for ssrc in ssrcs:
        ours.ssrc = ssrc
        log.take_all(ours.next())
    assert log.seen == list(range(len(ssrcs)))
    changes = sum(one != other for one, other in pairwise(ssrcs))
    assert log.met(Oddity.NEW_SSRC) == changes


@pytest.mark.parametrize("in_order", [True, False])
def test_new_ssrc_with_a_new_count_at_every_group_loses_nothing(in_order: bool) -> None:
    """Five groups of two pictures; numbers begin again at 1000 or elsewhere."""
    log = Log(in_order)
    for index in range(5):
        ours = Sender(index, 1000 + 7777 * (index % 3), sent=100 * index)
        log.take_all(*ours.picture(), *ours.picture(1))
    assert [one for one in log.seen if one >= 0] == [100 * group + n for group in range(5) for n in range(4)]
    assert GAP not in log.seen


@pytest.mark.parametrize("in_order", [True, False])
def test_packets_of_a_foreign_source_are_left_out_and_counted(in_order: bool) -> None:
    """One within each picture and one between two, with its own count; ours are all taken, without a gap."""
    log, ours, theirs = both(in_order)
    for _ in range(10):
        first, *rest = ours.picture()
        log.take_all(first, theirs.next(), *rest, theirs.next(last=True))
    assert log.seen == list(range(30))
    assert 15 < log.met(Oddity.FOREIGN_SSRC) <= 20
    assert log.met(Oddity.NEW_SSRC) == 0


@pytest.mark.parametrize("in_order", [True, False])
def test_foreign_source_that_comes_first_is_left_for_the_one_that_counts(in_order: bool) -> None:
    """Its single packets do not count up; the packets of the other one are taken from its first on."""
    log, ours, theirs = both(in_order)
    for _ in range(4):
        log.take_all(theirs.next(last=True))
        theirs.sequence += 5
        log.take_all(*ours.picture())
    after = log.seen[log.seen.index(RESTART) + 1 :]
    assert after == list(range(12))


def test_two_whole_streams_on_one_channel_show_the_first_one() -> None:
    """A burst of the second one may replace it once; the first goes on, and the second is then known as foreign."""
    log, ours, theirs = both()
    for _ in range(20):
        log.take_all(*ours.picture(), *theirs.picture(5))
    assert [one for one in log.seen if 0 <= one < 1000] == list(range(60))
    assert sum(one >= 1000 for one in log.seen) <= 5


def test_foreign_source_with_the_same_sequence_numbers_is_left_out() -> None:
    """One packet of it is taken, until ours comes with the same number."""
    log, ours, theirs = both()
    theirs.sequence = ours.sequence + 1
    for _ in range(10):
        for one, other in zip(ours.picture(), theirs.picture(), strict=True):
            log.take_all(one, other)
    assert sum(one >= 1000 for one in log.seen) <= 1
    assert [one for one in log.seen if 0 <= one < 1000] == list(range(30))


def test_before_the_first_key_frame_a_source_that_counts_replaces_another_one_that_does() -> None:
    """Two foreign ones send before each packet of the third one, which counts: its first packet is not lost."""
    log, ours, theirs = both()
    third = Sender(77, 5000, sent=2000)
    log.track.waits_for_key = True
    for _ in range(3):
        log.take_all(theirs.next(), third.next(), ours.next())
        third.sequence += 2
    log.track.waits_for_key = False
    for _ in range(9):
        log.take_all(theirs.next(), third.next(), ours.next())
    assert log.seen[log.seen.index(RESTART) + 1 :] == list(range(12))


def test_source_without_a_key_frame_is_replaced_after_a_second_then_after_two() -> None:
    """Two sources that count, and neither brings a key frame: each has longer than the one before."""
    log, ours, theirs = both()
    log.track.waits_for_key, changes = True, list[float]()
    for index in range(160):
        before, log.track.timeline.now = log.track.ssrc, index / 10
        log.take_all(ours.next(), theirs.next())
        if log.track.ssrc != before and index:
            changes.append(index / 10)
    assert [round(two - one) for one, two in pairwise(changes)] == [1, 2, 4, 8]


@pytest.mark.parametrize("markers", [Markers.RIGHT, Markers.UNKNOWN])
def test_burst_of_a_foreign_source_costs_no_picture(markers: Markers) -> None:
    """Six packets without a marker come after the first picture; the next one does not depend on them."""
    shown, loss = list[int](), SourceLoss()

    def show(units: list[bytes], timestamp: int) -> None:
        shown.append(timestamp)
        track.waits_for_key = False

    reader = H264Depacketizer(show, lambda units: None, loss, lambda _: None, markers)
    track = Track(96, reader, TrackTimeline(90_000), loss, in_order=True)
    track.waits_for_key = True
    burst = [packet(b"\x41\x9a\0", 500 + index, 7, False, ssrc=OTHER) for index in range(6)]
    ours = packets(access_units(count=4))
    first = next(index for index, data in enumerate(ours) if data[1] & 0x80) + 1
    for data in (*ours[:first], *burst, *ours[first:]):
        track.receive(data, 0, len(data))
    assert shown[:3] == [0, 3000, 6000]


def test_foreign_source_is_followed_when_ours_has_been_silent_for_a_second() -> None:
    """The packets that were dropped before are a gap."""
    log, ours, theirs = both()
    log.take_all(*ours.picture(), theirs.next(), *ours.picture(), theirs.next(), *theirs.picture())
    assert max(log.seen) < 1000
    log.track.timeline.now += SILENCE_S
    log.take_all(*theirs.picture())
    assert log.seen[6:8] == [RESTART, GAP]
    assert len(log.seen) > 8


def test_ssrc_that_the_camera_has_named_is_taken_at_its_first_packet() -> None:
    """A foreign one is there before it, and goes on."""
    log, ours, theirs = both()
    log.track.named = OURS
    log.take_all(*theirs.picture())
    for _ in range(3):
        log.take_all(ours.next(), *theirs.picture(9))
    assert log.seen == [1000, 1001, 1002, RESTART, *range(3)]


def test_named_ssrc_that_never_comes_changes_nothing() -> None:
    """The packets that come are taken from the first one on."""
    log, ours, _ = both()
    log.track.named = 77
    log.take_all(*ours.picture(), *ours.picture())
    assert log.seen == list(range(6))


def test_named_ssrc_is_no_longer_preferred_once_the_sequence_goes_on_under_another_one() -> None:
    """A camera that names the SSRC of its first group has another one with the next; the first one is then foreign."""
    log, ours, theirs = both()
    log.track.named = theirs.ssrc = OURS
    log.take_all(*ours.picture())
    ours.ssrc = 5
    log.take_all(*ours.picture(), theirs.next(), *ours.picture())
    assert log.seen == list(range(9))


def test_held_packets_and_known_foreign_sources_are_bounded() -> None:
    """No more than three packets and 16 SSRCs are remembered, whatever comes."""
    log, ours, theirs = both()
    log.take_all(*ours.picture())
    for ssrc in range(100, 200):
        theirs.ssrc = ssrc
        log.take_all(theirs.next(), ours.next(), *(theirs.next() for _ in range(50)), ours.next())
        assert len(log.track._rivals) <= 4
        assert all(len(rival.held) <= PROOF for rival in log.track._rivals.values())
        assert len(log.track._foreign) <= 16
    assert GAP not in log.seen


# ── sequence numbers over TCP ───────────────────────────────────────────────────────────────────────────────────────


def pictures_of(sequences: Sequence[Sequence[int]]) -> list[bytes]:
    """One packet for each sequence number, one picture for each group of them; payloads are numbered."""
    made = list[bytes]()
    for index, group in enumerate(sequences):
        for place, sequence in enumerate(group):
            made.append(packet(b"%d" % len(made), sequence, 3000 * index, place == len(group) - 1))
    return made


_RNG = random.Random(5)


@pytest.mark.parametrize(
    "sequences",
    [
        [[0] * 6, [0], [0] * 6, [0]],
        [[65_535] * 6, [65_535], [65_535] * 6],
        [range(6), [0], range(6), [0], range(200), [0], range(200), range(150)],  # with every picture
        [range(6), range(6, 8), range(6), range(6, 8)],  # with every group
        [[0, 0, 0, 1, 2, 3, 0, 1], [0], [0, 0, 0, 1, 2, 3, 0, 1]],  # with every NAL unit
        [range(0, 12, 2), [12], range(14, 26, 2)],
        [range(0, 1536, 256), range(1536, 3072, 256)],  # bytes in the wrong order
        [range(100, 94, -1), [94], range(93, 80, -1)],
        [range(6), [100], range(200, 206), [300], range(400, 406)],  # jumps between pictures
        [range(6), [30_000], range(10, 16), [50_000]],
        [[_RNG.randrange(65_536) for _ in range(9)] for _ in range(30)],
    ],
)
def test_sequence_numbers_over_tcp_that_do_not_count_are_not_believed(sequences: Sequence[Sequence[int]]) -> None:
    """Every packet is taken without a gap; the odd steps are counted, and nothing counts as lost."""
    sent = pictures_of(sequences)
    log = Log(in_order=True).take_all(*sent)
    assert log.seen == list(range(len(sent)))
    assert log.met(Oddity.SEQUENCE) > 0
    assert (log.loss.lost, log.loss.late) == (0, 0)


@pytest.mark.parametrize("missing", [(2,), (2, 3), (4,), (8,), (8, 10)])
def test_packets_over_tcp_that_the_camera_drops_within_a_picture_are_a_gap(missing: tuple[int, ...]) -> None:
    """From the third packet on, a number that is left out within a picture is believed."""
    sent = pictures_of([range(6), range(6, 12), range(12, 18)])
    log = Log(in_order=True).take_all(*(data for number, data in enumerate(sent) if number not in missing))
    expected = list(range(18))
    for number in reversed(missing):
        expected[number : number + 1] = [GAP]
    joined = [one for before, one in zip([0, *expected], expected, strict=False) if (before, one) != (GAP, GAP)]
    assert log.seen == joined
    assert (log.loss.lost, log.met(Oddity.SEQUENCE)) == (len(missing), 0)


def test_pictures_that_the_camera_drops_are_a_gap_once_its_numbers_have_counted_for_long() -> None:
    """After 128 packets that count up, also a number that is left out between two pictures is believed."""
    counted = [range(10 * n, 10 * n + 10) for n in range(OF_STEP // 10 + 1)]
    log = Log(in_order=True).take_all(*pictures_of([*counted, range(140, 150)]))
    assert GAP in log.seen
    assert log.loss.lost == 10


def test_jumps_between_all_pictures_are_soon_not_believed() -> None:
    """A camera with pictures of 100 packets: few of its jumps count as a gap."""
    log = Log(in_order=True).take_all(*pictures_of([range(1000 * n, 1000 * n + 100) for n in range(60)]))
    assert log.seen.count(GAP) <= 3


def test_duplicates_over_tcp_are_dropped() -> None:
    """Each packet twice from the beginning, or in the second picture only, and one of it again much later."""
    sent = pictures_of([range(10), range(10, 20), range(20, 30)])
    twice = [data for data in sent for _ in range(2)]
    log = Log(in_order=True).take_all(*twice)
    assert (log.seen, log.loss.late, log.met(Oddity.SEQUENCE)) == (list(range(30)), 30, 0)
    log = Log(in_order=True).take_all(*sent[:10], *twice[20:40], *sent[20:25], sent[18], *sent[25:])
    assert (log.seen, log.loss.late, log.met(Oddity.SEQUENCE)) == (list(range(30)), 11, 0)


# ── payload types ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [97, 127, 35, 0, 26])
@pytest.mark.parametrize("in_order", [True, False])
def test_other_payload_type_is_taken_if_the_announced_one_does_not_come(number: int, in_order: bool) -> None:
    """Not one packet is lost, and it is counted once."""
    log, ours, _ = both(in_order)
    ours.number = number
    log.take_all(*ours.picture(), *ours.picture())
    assert log.seen == list(range(6))
    assert log.met(Oddity.PAYLOAD_TYPE) == 1


@pytest.mark.parametrize("number", [13, 19, 110, *range(72, 77)])
def test_comfort_noise_other_codings_and_rtcp_are_never_the_medium(number: int) -> None:
    """110 is announced for another coding; 72 to 76 are RTCP packets of types 200 to 204."""
    log, ours, _ = both()
    ours.number = number
    for _ in range(10):
        log.take_all(*ours.picture())
        log.track.timeline.now += SILENCE_S
    assert log.seen == []


def test_two_payload_types_in_one_sequence_are_both_taken() -> None:
    """Announced is 96; 96 and 97 alternate, then 98 and 99."""
    log, ours, _ = both()
    for number in (96, 97, 96, 97, 98, 99, 98, 99):
        ours.number = number
        log.take_all(*ours.picture())
    assert log.seen == list(range(24))


def test_rtcp_on_the_channel_of_the_media_is_no_gap() -> None:
    """A sender report between two packets, as RFC 5761 allows."""
    log, ours, _ = both()
    log.take_all(*ours.picture())
    log.take_all(b"\x80\xc8\x00\x06" + OURS.to_bytes(4) + bytes(20), b"\x81\xca\x00\x02" + OURS.to_bytes(4) * 2)
    log.take_all(*ours.picture())
    assert log.seen == list(range(6))
    assert log.loss == SourceLoss()


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("counts", [True, False])
def test_packet_of_another_type_may_have_the_sequence_number_of_the_next_one(counts: bool, in_order: bool) -> None:
    """Some cameras count such packets, and some give their number to the next packet again."""
    log, ours, _ = both(in_order)
    for _ in range(5):
        log.take_all(*ours.picture())
        aside, ours.number = ours.number, 50
        log.take_all(ours.next())
        ours.number, ours.sent = aside, ours.sent - 1
        ours.sequence -= not counts
    assert log.seen == list(range(15))
    assert (log.loss.lost, log.loss.late) == (0, 0)


def test_announced_payload_type_replaces_another_one_at_once() -> None:
    """Audio that comes first on the same channel is left when the video begins."""
    log, ours, theirs = both()
    theirs.number = 8
    log.take_all(*theirs.picture(), theirs.next(), *ours.picture(), theirs.next(), *ours.picture())
    assert log.seen[log.seen.index(RESTART) + 1 :] == list(range(6))
