"""The tracks of one RTSP session: from packets to pictures and audio, and our reports about them. Sans-I/O.

Rules of this file:
- A track has its own channels or UDP ports, and its packets are decrypted before anything else reads them.
- The first access unit waits no longer than `HOLD_S` for the packet that shows whether its marker was right.

Source: RFC 2326, section 10.12 (interleaved data); RFC 3550, section 6 (RTCP).
"""

from functools import partial

from ...cpu_share import OF_AUDIO, OF_VIDEO
from ...media.bitstream import BitstreamError
from ...media.oddities import Oddity
from . import rtcp
from .choice import Audio, Video
from .context import SessionContext
from .encrypted import DecryptedOrder, Decryptor
from .messages import Parser, TakeFrame
from .remote import Remote, find_remote
from .reorder import Reorder
from .rtp import Depacketizer, Track
from .sdp import Media
from .timeline import Sync, TrackTimeline
from .transport import TransportRefused
from .transport_header import TransportHeader
from .video import Markers, VideoDepacketizer
from .video_pictures import PictureDepacketizer

REPORT_S = 10.0
"""Interval between two receiver reports."""
HOLD_S = 0.1
NEVER = float("inf")


class Tracks:
    """The video, and then perhaps the audio.

    `parser` reads the connection; it gets the takers of our channels. Reports over UDP are in `datagrams`; the sender
    removes them from there.
    """

    def __init__(self, context: SessionContext, parser: Parser, outgoing: bytearray) -> None:
        self.datagrams: list[tuple[int, bytes]] = []
        """Receiver reports, each with the number of its track."""
        self.remotes: list[Remote] = []
        """Where the datagrams of each track come from."""
        self._context, self._parser, self._outgoing = context, parser, outgoing
        self._sink, self._loss, self._facts = context.sink, context.loss, context.facts
        self._interleaved = context.is_interleaved
        self._now = 0.0
        self._held_until = self._report_at = NEVER
        self._unsure: VideoDepacketizer | PictureDepacketizer | None = None
        """The depacketizer of the video, until it knows how the camera sets the marker."""
        self._video, self._audio = TrackTimeline(90_000), TrackTimeline(90_000)
        self._sync = Sync(self._video, self._audio)
        self._tracks: list[Track] = []
        self._orders: list[Reorder | DecryptedOrder] = []
        self._decryptors: list[Decryptor | None] = []
        self._reports: list[TakeFrame] = []
        """The takers of each track's RTCP."""
        self._channels: list[int] = []

    def __len__(self) -> int:
        return len(self._tracks)

    # ── packets ─────────────────────────────────────────────────────────────────────────────────────────────────

    def set_time(self, now: float) -> None:
        self._now = self._video.now = self._audio.now = now

    def receive(self, index: int, data: bytes) -> int:
        """Receive one datagram at the port of RTP. Returns its work, in datagrams."""
        self._parser.spent = 0
        if index < len(self._orders):
            self._orders[index].receive(data, self._now)
        return self._count_work()

    def receive_report(self, index: int, data: bytes) -> int:
        """Receive one datagram at the port of RTCP. Returns as `receive`."""
        self._parser.spent = 0
        if index < len(self._reports):
            self._reports[index](data, 0, len(data))
        return self._count_work()

    def _count_work(self) -> int:
        self.watch()
        return 1 + self._parser.spent

    def watch(self) -> None:
        """Take note of what the parser has delivered."""
        if self._unsure is not None:
            self._watch_hold(self._unsure)

    @property
    def received(self) -> int:
        """The packets of all tracks."""
        return sum(track.received for track in self._tracks)

    @property
    def has_media(self) -> bool:
        """Whether a packet has come."""
        return any(track.expected is not None for track in self._tracks)

    def figures(self) -> dict[str, object]:
        """Return loss and jitter of the video at this moment: fields of `CameraFacts`."""
        if not self._tracks:
            return {}
        video = self._tracks[0]
        return {"loss": video.share_lost(), "jitter_s": round(video.timeline.jitter / video.timeline.rate, 4)}

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_reports(self) -> None:
        self._report_at = self._now + REPORT_S

    def due(self) -> float:
        """Return the latest time for the next call of `tick`."""
        return min(self._held_until, self._report_at)

    def tick(self) -> None:
        """Publish the access unit that has waited, and send reports, when they are due."""
        if self._unsure is not None and self._now >= self._held_until:
            self._held_until = NEVER
            self._unsure.flush()
        if self._now >= self._report_at:
            self._report_at = self._now + REPORT_S
            self._send_reports()

    def stop(self) -> None:
        """Ignore media from now on."""
        self._held_until = self._report_at = NEVER
        self._unsure = None
        self._parser.channels = dict.fromkeys(self._parser.channels, _ignore)

    def _watch_hold(self, depacketizer: VideoDepacketizer | PictureDepacketizer) -> None:
        if depacketizer.markers is not Markers.UNKNOWN:
            self._unsure, self._held_until = None, NEVER
        elif not depacketizer.is_held:
            self._held_until = NEVER
        elif self._held_until == NEVER:
            self._held_until = self._now + HOLD_S

    # ── setting up ──────────────────────────────────────────────────────────────────────────────────────────────

    def find_place(self, answer: TransportHeader, media: Media) -> bool:
        """Store the camera's choice of channels or ports, which may differ from ours. Returns whether it is usable.

        Raises `TransportRefused` for the first track if the camera sends it in another way.
        """
        index, over = len(self._tracks), self._context.over
        remote = find_remote(answer, over, media)
        if remote is None or answer.is_other_than(over):
            if index == 0:
                raise TransportRefused(over)
            return False
        first, second = 2 * index, 2 * index + 1
        if not self._interleaved:
            self.remotes.append(remote)
        else:
            first, second = answer.channels or (first, second)
            second = second if second < 256 else first  # there is no such channel for RTCP
            if first > 255 or {first, second} & self._parser.channels.keys():
                return False
        self._channels = [*self._channels, first, second]
        return True

    def name_ssrc(self, index: int, ssrc: int) -> None:
        """Store the SSRC that PLAY names for a track, unless SETUP has named one."""
        if index < len(self._tracks) and self._tracks[index].named is None:
            self._tracks[index].named = ssrc

    def spend(self, work: int) -> None:
        """Count work, in frames."""
        self._parser.spent += work

    def add_video(self, video: Video, ssrc: int | None, decryptor: Decryptor | None) -> None:
        """Add the track of the video; its `ssrc` if SETUP names it."""
        codec = video.codec
        publish, set_parameter_sets = self._sink.publish, self._sink.set_parameter_sets

        def publish_unit(units: list[bytes], timestamp: int) -> None:
            self.spend(OF_VIDEO + len(units))
            publish(units, self._video.pts(timestamp), codec)
            if track.waits_for_key and any(codec.nal_type(unit) in codec.key_types for unit in units):
                track.waits_for_key = False

        def take_parameter_sets(units: list[bytes]) -> None:
            self.spend(OF_VIDEO + len(units))
            set_parameter_sets(units, codec)

        try:
            take_parameter_sets(video.parameter_sets())
        except BitstreamError:
            self._loss.malformed += 1  # valid ones may come in band
        for oddity in video.oddities():
            self._loss.meet(oddity)
        depacketizer = video.depacketizer(publish_unit, take_parameter_sets, self._loss, self.spend)
        self._unsure = depacketizer
        track = self._track(video, depacketizer, self._video)
        track.waits_for_key, track.named = True, ssrc
        if isinstance(depacketizer, PictureDepacketizer):
            track.extend = depacketizer.extend
        self._add(track, decryptor)

    def add_audio(self, audio: Audio, ssrc: int | None, decryptor: Decryptor | None) -> None:
        """Add the track of the audio. Arguments as for `add_video`."""
        self._audio.rate = audio.reader.clock_rate
        for oddity in audio.oddities():
            self._loss.meet(oddity)

        def publish_frame(frame: bytes, timestamp: int) -> None:
            self.spend(OF_AUDIO)
            pts = self._sync.audio_pts(timestamp)
            if pts is not None:
                self._sink.publish_audio(frame, pts)

        track = self._track(audio, audio.depacketizer(publish_frame, self._loss), self._audio)
        track.named = ssrc
        self._add(track, decryptor)

    def _track(self, chosen: Video | Audio, depacketizer: Depacketizer, timeline: TrackTimeline) -> Track:
        others = {known.number for known in chosen.media.formats() if known.encoding != chosen.format.encoding}
        return Track(chosen.format.number, depacketizer, timeline, self._loss, self._interleaved, frozenset(others))

    def _add(self, track: Track, decryptor: Decryptor | None) -> None:
        order, receive = Reorder(track, lambda: self._parser.spent), track.receive
        self._tracks.append(track)
        self._orders.append(order if decryptor is None else decryptor.datagrams(order))
        self._decryptors.append(decryptor)
        self._reports.append(
            partial(self._read_mixed, track, order)
            if decryptor is None
            else decryptor.reports(partial(self._read_report, track))
        )
        if self._interleaved:
            first, second = self._channels[-2:]
            self._parser.channels |= {
                first: receive if decryptor is None else decryptor.frames(receive),
                second: self._reports[-1],
            }

    # ── RTCP ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_mixed(self, track: Track, order: Reorder, data: bytes, start: int, stop: int) -> None:
        """Read what comes where RTCP is expected: some cameras send RTP there."""
        if not rtcp.is_media(data, start, stop):
            self._read_report(track, data, start, stop)
            return
        self._loss.meet(Oddity.RTCP_CHANNEL)
        if self._interleaved:
            track.receive(data, start, stop)
        else:
            order.receive(data[start:stop], self._now)

    def _read_report(self, track: Track, data: bytes, start: int, stop: int) -> None:
        for report in rtcp.parse(data[start:stop]):
            if report.ssrc == track.ssrc:
                track.hear(report, self._now)
                track.timeline.hear(report)
                self._sync.adjust()
                self._facts.hear_clock(report.ntp)

    def _send_reports(self) -> None:
        for index, track in enumerate(self._tracks):
            report = rtcp.build(self._context.ssrc_of(index), track.ssrc & 0xFFFFFFFF, track.report(self._now))
            if (decryptor := self._decryptors[index]) is not None:
                report = decryptor.protect(report)
            if self._interleaved:
                self._outgoing += b"$%c%b%b" % (self._channels[2 * index + 1], len(report).to_bytes(2), report)
            else:
                self.datagrams.append((index, report))


def _ignore(data: bytes, start: int, stop: int) -> None:
    """Ignore media that arrives after the end."""
