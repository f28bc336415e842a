"""Cameras whose RTP is odd: payloads, markers, sources, numbers and times."""

from collections.abc import Callable, Iterator
from typing import Any

from ..cases.form import Case, Expect
from .packets import SSRC, Payloads, Sender, aggregate, fragments, joined, plain, single, split_head
from .streams import (
    CODECS,
    GROUP,
    TICKS,
    Units,
    encode,
    fmtp,
    is_set,
    sets_of,
    without_sets,
)
from .talk import HEAD, Kind, by_udp, media, send, show, talk

CODE = b"\0\0\0\1"


def kinds() -> Iterator[Kind]:
    yield from _start_codes()
    yield from _markers()
    yield from _fragments()
    yield from _unknown()
    yield from _sets()
    yield from _sources()
    yield from _numbers()
    yield from _over_udp()
    yield from _times()
    yield from _paces()
    yield from _headers()
    yield from _pictures()


def each(
    codec: str, pack: Callable[[Units], Payloads], pictures: tuple[Units, ...] | None = None, **other: Any
) -> Case:
    """Return a camera that packs each picture in this way."""
    shown = encode(codec) if pictures is None else pictures
    sender = Sender()
    return show(codec, [sender.picture(pack(units)) for units in shown], pictures=shown, **other)


def with_packet(codec: str, payload: bytes) -> Case:
    """Return a camera that sends this payload in front of each picture."""
    return each(codec, lambda units: [payload, *plain(codec, units)])


def _start_codes() -> Iterator[Kind]:
    for codec in CODECS:

        def in_fragments(units: Units, codec: str = codec) -> Payloads:
            return list(fragments(codec, joined(units)))

        def in_single(units: Units, codec: str = codec) -> Payloads:
            *front, last = units
            return [joined(front), *single(codec, last)] if front else single(codec, last)

        def in_front(units: Units, codec: str = codec) -> Payloads:
            return [CODE + part if part is unit else part for unit in units for part in single(codec, unit)]

        def three_bytes(units: Units, codec: str = codec) -> Payloads:
            return list(fragments(codec, joined(units, b"\0\0\1")))

        def zeros_behind(units: Units, codec: str = codec) -> Payloads:
            return [part + bytes(3) if part is unit else part for unit in units for part in single(codec, unit)]

        yield Kind(
            f"start codes in fragments, {codec}",
            "parameter sets and key frame, joined by start codes, in fragments",
            "retina#68 (V380), gortsplib#989 (Amatek)",
            each(codec, in_fragments),
        )
        yield Kind(
            f"short start codes in fragments, {codec}",
            "the same with start codes of three bytes",
            "",
            each(codec, three_bytes),
        )
        yield Kind(
            f"start codes in one NAL unit, {codec}",
            "all parameter sets in one packet, joined by start codes",
            "retina#68",
            each(codec, in_single),
        )
        yield Kind(
            f"start code in front, {codec}",
            "a start code in front of each NAL unit that fits into a packet",
            "gortsplib#199",
            each(codec, in_front),
        )
        yield Kind(
            f"zeros behind NAL units, {codec}", "trailing zeros behind each NAL unit", "", each(codec, zeros_behind)
        )


def _markers() -> Iterator[Kind]:
    for codec in CODECS:
        pictures = encode(codec, slices=4)

        def every_slice(codec: str = codec, pictures: tuple[Units, ...] = pictures) -> list[bytes]:
            sender, sent = Sender(), []
            for units in pictures:
                data = b""
                for unit in units:
                    parts = single(codec, unit)
                    last = not is_set(codec, unit)
                    data += b"".join(sender.packet(part, last and part is parts[-1]) for part in parts)
                sender.timestamp += TICKS
                sent.append(data)
            return sent

        def every_packet(codec: str = codec, pictures: tuple[Units, ...] = pictures) -> list[bytes]:
            sender = Sender()
            return [sender.picture(payloads := plain(codec, units), range(len(payloads))) for units in pictures]

        def never(codec: str = codec, pictures: tuple[Units, ...] = pictures) -> list[bytes]:
            sender = Sender()
            return [sender.picture(plain(codec, units), ()) for units in pictures]

        yield Kind(
            f"marker on each slice, {codec}",
            "four slices, each with the marker",
            "smolrtsp#43 (OpenIPC), obs-rtspserver#199, ustreamer#115, mediamtx#2826 (Matrox)",
            show(codec, every_slice(), pictures=pictures),
        )
        yield Kind(
            f"marker on each packet, {codec}",
            "the marker on each packet, within fragments too",
            "gortsplib (tests)",
            show(codec, every_packet(), pictures=pictures),
        )
        yield Kind(f"no marker, {codec}", "the marker never comes", "", show(codec, never(), pictures=pictures))

    def on_sets(units: Units) -> list[int]:
        return [index for index, unit in enumerate(units) if is_set("h264", unit)] + [-1]

    sender = Sender()
    sent = [sender.picture(plain("h264", units), on_sets(units)) for units in encode("h264")]
    yield Kind("marker on parameter sets", "the marker also on each parameter set", "", show(sent=sent))
    sei = bytes([6, 5, 17]) + b"sixteen bytes id" + b"\0\x80"
    sender = Sender()
    sent = [sender.picture([sei, *plain("h264", units)], (0, -1)) for units in encode("h264")]
    yield Kind(
        "marker on messages",
        "a message in front of each picture, with the marker",
        "moonfire-nvr#352 (LV-IP22)",
        show(sent=sent),
    )


def _fragments() -> Iterator[Kind]:
    for codec in CODECS:

        def empty(units: Units, codec: str = codec) -> Payloads:
            found: Payloads = []
            for part in plain(codec, units):
                found.append(part)
            head, kind = split_head(codec, units[-1])
            return [*found[:-1], head + bytes([kind]), found[-1]]

        def empty_last(units: Units, codec: str = codec) -> Payloads:
            *front, last = units
            parts = list(fragments(codec, last, max(1, len(last))))
            head, kind = split_head(codec, last)
            body = parts[0][: len(head)] + bytes([kind | 0x80]) + parts[0][len(head) + 1 :]
            return [*plain(codec, tuple(front)), body, head + bytes([kind | 0x40])]

        def whole(units: Units, codec: str = codec) -> Payloads:
            return [part for unit in units for part in fragments(codec, unit, 10_000)]

        yield Kind(
            f"empty fragments, {codec}", "fragments without a payload between others", "retina#115", each(codec, empty)
        )
        yield Kind(
            f"empty last fragment, {codec}", "the last fragment has no payload", "retina#115", each(codec, empty_last)
        )
        yield Kind(
            f"begin and end in one fragment, {codec}",
            "each NAL unit is one fragment",
            "retina PR131 (OpenIPC), gortsplib#649 (CostarHD)",
            each(codec, whole),
        )

    def other_type(units: Units) -> Payloads:
        parts = plain("h264", units)
        return [
            part[:1] + bytes([part[1] & 0xE0 | 1]) + part[2:] if part[0] & 31 == 28 and not part[1] & 0x80 else part
            for part in parts
        ]

    def no_end(units: Units) -> Payloads:
        return [
            part[:1] + bytes([part[1] & 0xBF]) + part[2:] if part[0] & 31 == 28 else part
            for part in plain("h264", units)
        ]

    def reserved(units: Units) -> Payloads:
        return [
            part[:1] + bytes([part[1] | 0x20]) + part[2:] if part[0] & 31 == 28 else part
            for part in plain("h264", units)
        ]

    yield Kind(
        "fragments of another type",
        "the type of the NAL unit is wrong behind the first fragment",
        "moonfire-nvr#344 (Tiandy)",
        each("h264", other_type),
    )
    yield Kind("fragments without an end", "no fragment has the end bit", "retina 0.4.14", each("h264", no_end))
    yield Kind(
        "reserved bit of fragments", "the reserved bit of each fragment is set", "retina 0.4.14", each("h264", reserved)
    )


def _unknown() -> Iterator[Kind]:
    for number in (0, 30, 31):
        yield Kind(
            f"NAL unit type {number}",
            f"a packet of NAL unit type {number} with each picture",
            "",
            with_packet("h264", bytes([number, 1, 2, 3])),
        )
    yield Kind(
        "NAL unit type 30 behind",
        "a packet of NAL unit type 30 in front of the last one",
        "",
        each("h264", lambda units: [*plain("h264", units)[:-1], b"\x1e\1\2", plain("h264", units)[-1]]),
    )
    for number in (41, 50, 63):
        yield Kind(
            f"NAL unit type {number}, h265",
            f"a packet of NAL unit type {number} with each picture",
            "",
            with_packet("h265", bytes([number << 1, 1, 2, 3])),
        )
    yield Kind(
        "payload of one byte",
        "a payload that is only a header with each picture",
        "",
        each("h264", lambda units: [b"\x06", *plain("h264", units)]),
    )
    yield Kind(
        "payload of one byte, h265",
        "a payload of half a header with each picture",
        "",
        each("h265", lambda units: [b"\x26", *plain("h265", units)]),
    )
    for codec in CODECS:

        def padded(units: Units, codec: str = codec) -> Payloads:
            sets = [unit for unit in units if is_set(codec, unit)]
            rest = plain(codec, without_sets(codec, units))
            return [aggregate(codec, sets, bytes(6)), *rest] if sets else rest

        def aggregated(units: Units, codec: str = codec) -> Payloads:
            return [aggregate(codec, units)]

        yield Kind(
            f"padding behind aggregated units, {codec}",
            "zeros behind aggregated NAL units",
            "gortsplib (tests)",
            each(codec, padded),
        )
        yield Kind(
            f"whole pictures aggregated, {codec}",
            "all NAL units of a picture in one aggregate",
            "",
            each(codec, aggregated, encode(codec, slices=4)),
        )


def _sets() -> Iterator[Kind]:
    pictures = encode("h264")
    sps = sets_of("h264")[0]
    bare = tuple(without_sets("h264", units) for units in pictures)
    yield Kind("parameter sets in the description only", "none comes in band", "", show(sent=send("h264", bare)))
    yield Kind(
        "parameter sets in band only",
        "the description has none",
        "",
        show(rules=talk((*HEAD, *media(fmtp="packetization-mode=1")))),
    )
    broken = list(pictures)
    broken[GROUP] = tuple(unit[:4] if unit == sps else unit for unit in pictures[GROUP])
    yield Kind("broken parameter set", "one parameter set is cut short", "", show(sent=send("h264", tuple(broken))))
    longer = tuple(tuple(unit + b"\0\xff\0" if unit == sps else unit for unit in units) for units in pictures)
    yield Kind(
        "bytes behind a parameter set",
        "bytes behind the end of the parameter set",
        "retina#102 (Reolink)",
        show(sent=send("h264", longer)),
    )
    sender, sent = Sender(), []
    for units in pictures:
        sets = [unit for unit in units if is_set("h264", unit)]
        data = b"".join(sender.packet(unit, True, timestamp=sender.timestamp - 300) for unit in sets)
        sent.append(data + sender.picture(plain("h264", without_sets("h264", units))))
    yield Kind(
        "parameter sets under another time stamp",
        "an earlier time stamp, with the marker",
        "mediamtx#3945 (FLIR)",
        show(sent=sent),
    )


def _sources() -> Iterator[Kind]:
    pictures = encode("h264")

    def with_sources(ssrc: Callable[[int, int], int]) -> list[bytes]:
        sender, sent = Sender(), []
        for index, units in enumerate(pictures):
            payloads = plain("h264", units)
            sent.append(
                b"".join(
                    sender.packet(part, part is payloads[-1], ssrc=ssrc(index, at)) for at, part in enumerate(payloads)
                )
            )
            sender.timestamp += TICKS
        return sent

    yield Kind(
        "SSRC new with each group",
        "another SSRC with each group of pictures",
        "gortsplib#687 (Uniview)",
        show(sent=with_sources(lambda index, at: SSRC + index // GROUP)),
    )
    yield Kind(
        "SSRC new with each picture",
        "another SSRC with each picture",
        "",
        show(sent=with_sources(lambda index, at: SSRC + index)),
    )
    yield Kind(
        "SSRC 0 in some packets",
        "the first packet of each picture has SSRC 0",
        "gortsplib#480",
        show(sent=with_sources(lambda index, at: SSRC if at else 0)),
    )

    def beside(first: bool, other: int, count: int) -> list[bytes]:
        sender, stranger = Sender(), Sender(sequence=40_000, timestamp=9_000_000, ssrc=other)
        sent = []
        for units in pictures:
            own = sender.picture(plain("h264", units))
            foreign = b"".join(stranger.packet(b"\x41" + bytes([50 + number]) * 30, True) for number in range(count))
            stranger.timestamp += TICKS
            sent.append(foreign + own if first else own + foreign)
        return sent

    yield Kind(
        "packets of a foreign source",
        "packets of another SSRC behind each picture",
        "retina#17, moonfire-nvr#114 (Reolink)",
        show(sent=beside(False, 77, 1)),
    )
    named = talk((*HEAD, *media()), transport=f"RTP/AVP/TCP;unicast;interleaved=0-1;ssrc={SSRC:08X}")
    yield Kind(
        "foreign source first, the real one named",
        "another SSRC in front of each picture; SETUP names the real one",
        "retina#17",
        show(sent=beside(True, 77, 2), rules=named),
    )
    yield Kind(
        "SETUP names an SSRC that never comes",
        "all packets have another SSRC than SETUP says",
        "",
        show(rules=talk((*HEAD, *media()), transport="RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001")),
    )


def _numbers() -> Iterator[Kind]:
    pictures = encode("h264")
    yield Kind(
        "sequence numbers that never move",
        "the sequence number is always 0",
        "",
        show(sent=send("h264", pictures, Sender(sequence=0, step=0))),
    )
    sender, sent = Sender(), []
    for units in pictures:
        sender.sequence = 0
        sent.append(sender.picture(plain("h264", units)))
    yield Kind(
        "sequence numbers begin with each picture", "the sequence number is 0 with each picture", "", show(sent=sent)
    )
    yield Kind(
        "sequence numbers count by two", "each packet adds 2", "", show(sent=send("h264", pictures, Sender(step=2)))
    )
    yield Kind(
        "sequence numbers count down",
        "each packet subtracts 1",
        "",
        show(sent=send("h264", pictures, Sender(sequence=30_000, step=-1))),
    )
    yield Kind(
        "sequence numbers wrap",
        "65,535 is followed by 0 within a key frame",
        "",
        show(sent=send("h264", pictures, Sender(sequence=65_533))),
    )
    yield Kind(
        "payload type not announced",
        "packets have another payload type than the description",
        "",
        show(sent=send("h264", pictures, Sender(number=97))),
    )
    sender, sent = Sender(), []
    for index, units in enumerate(pictures):
        sender.number = 96 + index % 2
        sent.append(sender.picture(plain("h264", units)))
    yield Kind("two payload types", "the payload type changes with each picture", "", show(sent=sent))
    sender, sent = Sender(), []
    for index, units in enumerate(pictures):
        data = sender.picture(plain("h264", units))
        sent.append(data + data if index % 2 else data)
    yield Kind("pictures twice", "each second picture is sent twice, with the same numbers", "", show(sent=sent))


def over_udp(sent: list[bytes], **other: Any) -> Case:
    """Return a camera that sends these pictures as datagrams."""
    return show(sent=sent, rules=talk((*HEAD, *media()), by_udp()), transport="udp", **other)


def _over_udp() -> Iterator[Kind]:
    pictures = encode("h264")
    for name, step in (("never move", 0), ("count by two", 2)):
        yield Kind(
            f"sequence numbers over UDP {name}",
            f"each datagram adds {step}",
            "",
            over_udp(send("h264", pictures, Sender(step=step))),
        )
    yield Kind(
        "RTP at the UDP port of RTCP",
        "all packets come at the odd port",
        "",
        over_udp(send("h264", pictures, Sender(channel=1))),
    )
    sender, old = Sender(), []
    for units in pictures:
        payloads = plain("h264", units)
        old.append(b"".join(sender.packet(part, part is payloads[-1], head=0) for part in payloads))
        sender.timestamp += TICKS
    yield Kind(
        "RTP of version 0 over UDP",
        "the version is missing in each packet",
        "",
        over_udp(old, loop=True, within_s=40.0, expect=Expect(reason_mentions_any=("RTP version 0",))),
        "the reason names it",
    )


def _times() -> Iterator[Kind]:
    pictures = encode("h264")

    def stamped(stamp: Callable[[int, int], int]) -> list[bytes]:
        sender, sent = Sender(), []
        for index, units in enumerate(pictures):
            payloads = plain("h264", units)
            sent.append(
                b"".join(
                    sender.packet(part, part is payloads[-1], timestamp=stamp(index, at))
                    for at, part in enumerate(payloads)
                )
            )
        return sent

    yield Kind(
        "time stamps that never move",
        "the time stamp is always the same",
        "",
        show(sent=stamped(lambda index, at: 1000)),
    )
    yield Kind(
        "time stamps in milliseconds",
        "a clock of 1 kHz instead of 90 kHz",
        "",
        show(sent=stamped(lambda index, at: 50 * index)),
    )
    yield Kind(
        "time stamp back once",
        "one picture is stamped 60 ms before the one in front",
        "",
        show(sent=stamped(lambda index, at: TICKS * index - (5400 if index == 5 else 0))),
    )
    yield Kind(
        "one picture stamped hours off",
        "one picture of the stream has a time stamp hours ahead",
        "mediamtx PR6255 (Intelbras)",
        show(sent=stamped(lambda index, at: TICKS * index + (0x40000000 if index == 3 else 0))),
    )
    yield Kind(
        "time stamps wrap",
        "the time stamp goes beyond 32 bits",
        "",
        show(sent=stamped(lambda index, at: 0xFFFFFFFF - 2 * TICKS + TICKS * index)),
    )
    yield Kind(
        "time stamps within a picture",
        "each packet of a picture has another time stamp",
        "",
        show(sent=stamped(lambda index, at: TICKS * index + at)),
    )


def _paces() -> Iterator[Kind]:
    yield Kind("a picture every 4 s", "four seconds between two pictures", "", show(pace_s=4.0, within_s=60.0))


def _headers() -> Iterator[Kind]:
    pictures = encode("h264")

    def packed(head: int, middle: bytes = b"", behind: bytes = b"") -> list[bytes]:
        sender, sent = Sender(), []
        for units in pictures:
            payloads = [part + behind for part in plain("h264", units)]
            last = len(payloads) - 1
            packets = (sender.packet(part, at == last, head=head, middle=middle) for at, part in enumerate(payloads))
            sent.append(b"".join(packets))
            sender.timestamp += TICKS
        return sent

    yield Kind("RTP padding", "each packet has padding", "", show(sent=packed(head=0xA0, behind=b"\0\0\0\4")))
    sender, sent = Sender(), []
    for units in pictures:
        parts = list(plain("h264", units))
        ends = [(part, 0xA0 if part[-1] > len(part) else 0x80, at == len(parts) - 1) for at, part in enumerate(parts)]
        sent.append(b"".join(sender.packet(part, is_last, head=head) for part, head, is_last in ends))
        sender.timestamp += TICKS
    yield Kind("impossible RTP padding", "more padding than the packet has", "", show(sent=sent))
    yield Kind(
        "RTP extension",
        "each packet has a header extension (ONVIF replay)",
        "",
        show(sent=packed(head=0x90, middle=b"\xab\xac\0\3" + bytes(12))),
    )
    yield Kind(
        "RTP contributors",
        "each packet names two contributing sources",
        "",
        show(sent=packed(head=0x82, middle=bytes(8))),
    )
    report = bytes([0x80, 200, 0, 6]) + SSRC.to_bytes(4) + bytes(20)
    framed = b"$\0" + len(report).to_bytes(2) + report
    yield Kind(
        "RTCP on the channel of RTP",
        "sender reports on the channel of the video",
        "",
        show(sent=[framed + data for data in send("h264", pictures)]),
    )
    yield Kind(
        "RTP on the channel of RTCP",
        "all packets come on the odd channel",
        "",
        show(sent=send("h264", pictures, Sender(channel=1))),
    )
    sender, sent = Sender(), []
    for units in pictures:
        payloads = plain("h264", units)
        sent.append(b"".join(sender.packet(part, part is payloads[-1], head=0) for part in payloads))
        sender.timestamp += TICKS
    yield Kind("RTP of version 0", "the version is missing in each packet", "", show(sent=sent))
    sender, sent = Sender(), []
    for units in pictures:
        sent.append(sender.packet(b"", False) + sender.picture(plain("h264", units)))
    yield Kind("packets without a payload", "an empty packet in front of each picture", "", show(sent=sent))
    yield Kind(
        "packets of another channel",
        "packets on a channel that nobody asked for",
        "",
        show(sent=[b"$\x09\0\x0c" + bytes(12) + data for data in send("h264", pictures)]),
    )


def _pictures() -> Iterator[Kind]:
    for codec in CODECS:
        yield Kind(f"no oddity, {codec}", "nothing: the control", "", show(codec))
    yield Kind(
        "interlaced",
        "two fields in each picture, under one time stamp",
        "",
        show(pictures=encode("h264", interlaced=True), rules=talk((*HEAD, *media(fmtp="packetization-mode=1")))),
    )
    yield Kind(
        "many slices",
        "six slices in each picture",
        "",
        show(pictures=(many := encode("h264", slices=6)), sent=send("h264", many)),
    )
    aud = tuple((b"\x09\xf0", *units) for units in encode("h264"))
    yield Kind("access unit delimiters", "a delimiter in front of each picture", "", show(sent=send("h264", aud)))
    mode_0 = talk((*HEAD, *media(fmtp=fmtp("h264").replace("packetization-mode=1", "packetization-mode=0"))))
    yield Kind(
        "packetization mode 0 with fragments", "mode 0 is declared, fragments come", "mediamtx#5887", show(rules=mode_0)
    )
