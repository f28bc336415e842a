"""Variations of odd cameras: losses, numbers, times, units and answers that no report has named yet."""

from collections.abc import Callable, Iterator
from typing import Any

from ..cases.dialogue import Digest, Rule
from ..cases.form import Case
from .packets import SSRC, Payloads, Sender, aggregate, fragments, plain, single
from .rtp import each, over_udp
from .signaling import BODY, DESCRIBED, odd
from .streams import CODECS, GROUP, TICKS, Units, encode, fmtp, is_set, without_sets
from .talk import HEAD, OK, SESSION, TRACK, Kind, answer, by_udp, media, send, show, talk

AGAIN: dict[str, Any] = {"tries": 3, "within_s": 60.0}
"""For cameras of which the next attempt knows more."""
DELIMITER, FILLER = b"\x09\xf0", b"\x0c" + b"\xff" * 40 + b"\x80"
MESSAGE = bytes([6, 5, 17]) + b"sixteen bytes id" + b"\0\x80"


def kinds() -> Iterator[Kind]:
    yield from _losses()
    yield from _numbers()
    yield from _times()
    yield from _units()
    yield from _answers()
    yield from _transports()
    yield from _descriptions()


def _split(picture: bytes) -> list[bytes]:
    """Return the interleaved packets of a picture."""
    found = []
    while picture:
        end = 4 + int.from_bytes(picture[2:4])
        found.append(picture[:end])
        picture = picture[end:]
    return found


def _losses() -> Iterator[Kind]:
    pictures = encode("h264")
    sent = send("h264", pictures)
    last = b"".join(_split(sent[GROUP - 1])[:-1])
    cut = [*sent[: GROUP - 1], last, *sent[GROUP:]]
    rules = talk(BODY, by_udp())
    rest = pictures[: GROUP - 1] + pictures[GROUP:]
    yield Kind(
        "the last packet of a group is lost over UDP",
        "only its picture is missing",
        "",
        show(sent=cut, pictures=rest, rules=rules, transport="udp"),
    )
    yield Kind(
        "a whole picture is lost over UDP",
        "the last one of a group",
        "",
        show(sent=[*sent[: GROUP - 1], b"", *sent[GROUP:]], pictures=rest, rules=rules, transport="udp"),
    )
    swapped = []
    for picture in sent:
        packets = _split(picture)
        for at in range(0, len(packets) - 1, 2):
            packets[at : at + 2] = reversed(packets[at : at + 2])
        swapped.append(b"".join(packets))
    yield Kind("neighbours change places over UDP", "each second datagram comes first", "", over_udp(swapped))
    twice = [b"".join(packet * 2 for packet in _split(picture)) for picture in sent]
    yield Kind("each datagram comes twice", "with the same number", "", over_udp(twice))


def _jump(by: int) -> list[bytes]:
    sender, sent = Sender(sequence=30_000), []
    for at, units in enumerate(encode("h264")):
        sender.sequence += by if at == GROUP else 0
        sent.append(sender.picture(plain("h264", units)))
    return sent


def _numbers() -> Iterator[Kind]:
    for by in (10_000, 200, -500, -20_000):
        yield Kind(f"sequence numbers over UDP jump by {by}", "once, with a key frame", "", over_udp(_jump(by)))
    for by in (10_000, -50):
        yield Kind(f"sequence numbers jump by {by}", "once, with a key frame", "", show(sent=_jump(by)))
    sent = [_split(picture) for picture in send("h264", encode("h264"))]
    turned = [b"".join(each[:6] + each[7:8] + each[6:7] + each[8:] for each in packets) for packets in sent]
    yield Kind("sequence numbers in the other byte order", "the low byte first", "", show(sent=turned))
    short = [b"".join(each[:6] + b"\0" + each[7:] for each in packets) for packets in sent]
    yield Kind("sequence numbers of one byte", "255 is followed by 0", "", show(sent=short))
    channels = [b"".join(each[:1] + bytes([at % 2]) + each[2:] for at, each in enumerate(packets)) for packets in sent]
    yield Kind("RTP on both channels in turn", "each second packet on that of RTCP", "", show(sent=channels))

    def new(over: Callable[[list[bytes]], Case], span: int) -> Case:
        sender, found = Sender(), []
        for at, units in enumerate(encode("h264")):
            if at and at % span == 0:
                sender.ssrc, sender.sequence = SSRC + at, at * 7919 & 0xFFFF
            found.append(sender.picture(plain("h264", units)))
        return over(found)

    does = "another SSRC and another count"
    yield Kind("SSRC and numbers new with each group", does, "", new(lambda found: show(sent=found), GROUP))
    yield Kind("SSRC and numbers new with each group over UDP", does, "", new(over_udp, GROUP))


def _times() -> Iterator[Kind]:
    def stamped(stamp: Callable[[int, int], int], pictures: tuple[Units, ...], marks: bool = True) -> Case:
        sender, sent = Sender(), []
        for index, units in enumerate(pictures):
            payloads = plain("h264", units)
            packets = (
                sender.packet(part, marks and part is payloads[-1], timestamp=stamp(index, at) & 0xFFFFFFFF)
                for at, part in enumerate(payloads)
            )
            sent.append(b"".join(packets))
        return show(sent=sent, pictures=pictures)

    one, four = encode("h264"), encode("h264", slices=4)
    yield Kind("two pictures with one time stamp", "always", "", stamped(lambda at, _: at // 2 * TICKS, one))
    random = stamped(lambda at, of: at * 7919**3 + of * 104_729**2, one)
    yield Kind("time stamps at random", "in each packet", "", random)
    yield Kind("neither time stamps nor markers", "four slices", "", stamped(lambda at, _: 5, four, marks=False))


def _units() -> Iterator[Kind]:
    for codec in CODECS:

        def ends(units: Units, codec: str = codec) -> Payloads:
            at = {"h264": 1, "h265": 2}[codec]
            parts: Payloads = []
            for unit in units:
                found = single(codec, unit)
                if len(found) > 1:
                    found = [part[:at] + bytes([part[at] | 0x40]) + part[at + 1 :] for part in found]
                parts += found
            return parts

        yield Kind(f"each fragment is the last one, {codec}", "the end bit in all of them", "", each(codec, ends))

    def behind(rest: bytes) -> Case:
        def pack(units: Units) -> Payloads:
            sets, others = [unit for unit in units if is_set("h264", unit)], without_sets("h264", units)
            front = [aggregate("h264", sets, rest)] if sets else []
            return [*front, *plain("h264", others)]

        return each("h264", pack)

    yield Kind("padding of ones behind aggregated units", "ff ff ff", "", behind(b"\xff\xff\xff"))
    yield Kind("a cut message behind aggregated units", "it is longer than the packet", "", behind(b"\0\x20\x06\x05"))
    forms: dict[str, Callable[[Units], Payloads]] = {
        "filler behind each picture": lambda units: [*plain("h264", units), FILLER],
        "a delimiter behind each picture": lambda units: [*plain("h264", units), DELIMITER],
        "50 messages in front of each picture": lambda units: [MESSAGE] * 50 + plain("h264", units),
        "filler of 10 KB in fragments": lambda units: [
            *fragments("h264", b"\x0c" + b"\xff" * 10_000 + b"\x80"),
            *plain("h264", units),
        ],
        "parameter sets in fragments": lambda units: [
            part
            for unit in units
            for part in (fragments("h264", unit, 3) if is_set("h264", unit) else single("h264", unit))
        ],
        "the end of a sequence behind each picture": lambda units: [*plain("h264", units), b"\x0a"],
    }
    for name, pack in forms.items():
        yield Kind(name, "with the marker on the last packet", "", each("h264", pack))


def _answers() -> Iterator[Kind]:
    for line in ("RTSP 200 OK", "RTSP/1 200 OK", "RTSP/10.0 200 OK", "RTSP/1.0 0200 OK"):
        rules = [
            Rule(
                rule.method,
                url=rule.url,
                header=rule.header,
                reply=tuple(line if part == OK else part for part in rule.reply),
                body=rule.body,
                play=rule.play,
            )
            for rule in talk(BODY)
        ]
        yield Kind(f"status line {line}", "in each answer", "", show(rules=rules))
    nameless = Rule("SETUP", url=TRACK, **answer("Transport: RTP/AVP/TCP;unicast;interleaved=0-1"))
    named = Rule("DESCRIBE", **answer(*DESCRIBED, "Session: 4711", body=BODY))
    yield Kind("session named by DESCRIBE only", "SETUP names none", "", odd(named, nameless))
    refused = answer('WWW-Authenticate: Digest realm="x"; nonce="n"', status="RTSP/1.0 401 Unauthorized")
    proof = Digest("admin", "secret", "x", "n", "MD5")
    login = {"credentials": "admin:secret", "tries": 2, "within_s": 8.0}
    challenged = odd(Rule("DESCRIBE", unless_digest=proof, **refused), case=login)
    yield Kind("password by Digest with semicolons", 'Digest realm="x"; nonce="n"', "", challenged)
    silent = odd(Rule("PLAY", has=("range",)), case=AGAIN)
    yield Kind("PLAY with Range is never answered", "without Range it plays", "", silent)
    twice = Rule("PLAY", has=("range",), close=True)
    yield Kind("PLAY with Range hangs up", "without Range it plays", "", odd(twice, case=AGAIN))


def _transports() -> Iterator[Kind]:
    for status in ("403 Forbidden", "453 Not Enough Bandwidth", "503 Service Unavailable", "455 Method Not Valid"):
        refuses = Rule("SETUP", contains={"transport": "TCP"}, **answer(status=f"RTSP/1.0 {status}"))
        case = show(rules=talk(BODY, refuses, by_udp()), **AGAIN)
        yield Kind(f"only UDP, TCP is refused with {status[:3]}", f"SETUP over TCP fails with {status[:3]}", "", case)
    silent = show(rules=talk(BODY, Rule("SETUP", contains={"transport": "TCP"}), by_udp()), **AGAIN)
    yield Kind("only UDP, TCP is never answered", "SETUP over TCP has no answer", "", silent)
    silent = show(rules=talk(BODY, Rule("SETUP", contains={"transport": "client_port"})), transport="udp", **AGAIN)
    yield Kind("only TCP, UDP is never answered", "SETUP over UDP has no answer", "", silent)
    for channels, at in (("0-256", 0), ("255-256", 255), ("1-0", 1), ("7-7", 7)):
        sent = send("h264", encode("h264"), Sender(channel=at))
        line = f"RTP/AVP/TCP;unicast;interleaved={channels}"
        yield Kind(f"SETUP on channels {channels}", line, "", show(sent=sent, rules=talk(BODY, transport=line)))
    bare = Rule("SETUP", url=TRACK, **answer(SESSION))
    yield Kind("SETUP without a transport", "the answer names none", "", odd(bare))


def _descriptions() -> Iterator[Kind]:
    mode, sets = fmtp("h264").split(";")
    sent = send("h264", tuple(without_sets("h264", units) for units in encode("h264")))
    split = (*HEAD, *media(fmtp=sets), f"a=fmtp:96 {mode}")
    yield Kind("parameters on two lines", "a=fmtp twice", "", show(sent=sent, rules=talk(split)))
    number = send("h264", encode("h264"), Sender(number=26))
    body = (*HEAD, *media(number="26", mapped="26"))
    yield Kind("H.264 by the number of JPEG", "m=video 0 RTP/AVP 26", "", show(sent=number, rules=talk(body)))
