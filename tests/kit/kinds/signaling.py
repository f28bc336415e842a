"""Cameras whose conversation is odd: addresses, numbers of answers, sessions, refusals, passwords, transports."""

from collections.abc import Iterator
from typing import Any

from ..cases.dialogue import Digest, Rule
from ..cases.form import Case, Expect
from .packets import Sender
from .streams import encode
from .talk import AUDIO, BASE, HEAD, OK, SESSION, TRACK, URL, Kind, answer, by_udp, media, send, show, talk

BODY = (*HEAD, *media())
PCMA = ("m=audio 0 RTP/AVP 8", "a=control:trackID=2", "a=rtpmap:8 PCMA/8000")
DESCRIBED = ("Content-Type: application/sdp", BASE)
ODD_STATUS = {
    "with a tab": "RTSP/1.0\t200 OK",
    "without a blank": "RTSP/1.0 200OK",
    "with a blank in front": " RTSP/1.0 200 OK",
    "in lower case": "rtsp/1.0 200 ok",
    "of HTTP": "HTTP/1.1 200 OK",
}
PLAYED = ("Session: 4711",)


def kinds() -> Iterator[Kind]:
    yield from _bases()
    yield from _controls()
    yield from _numbers()
    yield from _tracks()
    yield from _sessions()
    yield from _play()
    yield from _options()
    yield from _audio()
    yield from _transports()
    yield from _passwords()
    yield from _messages()


def odd(*before: Rule, body: tuple[str, ...] = BODY, case: dict[str, Any] | None = None, **how: Any) -> Case:
    """Return a camera with these rules in front of the usual ones."""
    return show(rules=talk(body, *before, **how), **(case or {}))


def _bases() -> Iterator[Kind]:
    place = "127.0.0.1:{port}/stream/"
    bases = {
        "without a scheme": (place, "moonfire-nvr#356 (Anjvision, SV3C), go2rtc#1852"),
        "with two schemes": (f"rtsp://rtsp://{place}", "go2rtc#208"),
        "that is a path": ("/stream/", ""),
        "that is *": ("*", ""),
        "that is empty": ("", ""),
        "of another host": ("rtsp://192.0.2.7:{port}/stream/", "webrtc-streamer#215"),
        "with an IPv4 address in IPv6": ("rtsp://::ffff:127.0.0.1/stream/", "WebRTC#395"),
        "with blanks": (f" rtsp://{place} ", ""),
    }
    for name, (base, seen) in bases.items():
        control = "rtsp://192.0.2.7:{port}/stream/trackID=1" if "192.0.2.7" in base else TRACK
        own = [Rule("SETUP", url=control, **answer("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", SESSION))]
        yield Kind(
            f"Content-Base {name}",
            f"Content-Base: {base.strip() or 'nothing'}",
            seen,
            odd(*own, base=f"Content-Base: {base}"),
        )
    yield Kind("no Content-Base", "no address of the presentation", "", odd(base=""))
    location = f"Content-Location: {URL}/"
    yield Kind("Content-Location instead", "Content-Location, and no Content-Base", "", odd(base=location))
    query = "rtsp://127.0.0.1:{port}/stream?channel=1&subtype=0/"
    track = Rule("SETUP", url=query + "trackID=1", **answer("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", SESSION))
    yield Kind(
        "Content-Base with a query",
        "a query in front of the last slash",
        "media-stream-library#646 (Dahua)",
        odd(track, base=f"Content-Base: {query}"),
    )


def _controls() -> Iterator[Kind]:
    place = ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", SESSION)
    query = odd(body=(*HEAD, *media(control="?ctype=video")), base=f"Content-Base: {URL}", track=URL + "?ctype=video")
    yield Kind("control that is a query", "a=control:?ctype=video", "gortsplib (TestMediaURL)", query)
    yield Kind("control that is absolute", "a whole address", "", odd(body=(*HEAD, *media(control=TRACK))))
    inner = (*HEAD, *media(control="rtsp://192.0.2.7/stream/trackID=1"))
    for status in ("454 Session Not Found", "500 Internal Server Error"):
        rules = Rule("SETUP", url=TRACK, **answer(*place)), Rule("SETUP", **answer(status=f"RTSP/1.0 {status}"))
        yield Kind(f"inner control refused with {status[:3]}", status, "", odd(*rules, body=inner))
    plain = tuple(line for line in BODY if "control:*" not in line)
    yield Kind("no control of the session", "only the track has a control", "retina#9", odd(body=plain))
    none = tuple(line for line in BODY if "control" not in line)
    yield Kind(
        "no control at all", "neither session nor track has one", "", odd(Rule("SETUP", **answer(*place)), body=none)
    )


def _numbers() -> Iterator[Kind]:
    def numbered(line: str) -> Case:
        rules = talk(BODY)
        return show(rules=[_with_number(rule, line) for rule in rules])

    yield Kind(
        "CSeq one behind",
        "the number of the request before",
        "homebridge-foscamcamera#6 (Foscam C1)",
        numbered("CSeq: {cseq-1}"),
    )
    yield Kind("CSeq that never moves", "always 1", "", numbered("CSeq: 1"))
    yield Kind("CSeq with zeros", "zeros in front of the number", "", numbered("CSeq: {cseq:04d}"))
    yield Kind("no CSeq", "answers without a number", "", numbered("Server: x"))
    yield Kind("CSeq of two lines", "the number twice", "", numbered("CSeq: {cseq}\r\nCSeq: {cseq}"))


def _with_number(rule: Rule, line: str) -> Rule:
    reply = tuple(line if part == "CSeq: {cseq}" else part for part in rule.reply)
    return Rule(rule.method, url=rule.url, header=rule.header, reply=reply, body=rule.body, play=rule.play)


def _tracks() -> Iterator[Kind]:
    first = media(control="trackID=8")
    yield Kind(
        "SETUP of the first video fails with 404",
        "only the second H.264 is there",
        "",
        odd(body=(*HEAD, *first, *media())),
    )
    hevc = media("h265", control="trackID=8")
    yield Kind(
        "SETUP of H.265 fails with 404",
        "H.265 is announced first, only H.264 is there",
        "",
        odd(body=(*HEAD, *hevc, *media())),
    )


def _sessions() -> Iterator[Kind]:
    body = (*BODY, *PCMA)
    second = Rule("SETUP", url=AUDIO, **answer("Transport: RTP/AVP/TCP;unicast;interleaved=2-3", "Session: 9999"))
    yield Kind(
        "second SETUP names another session", "PLAY wants the first", "retina 0.4.6 (XM)", odd(second, body=body)
    )
    yield Kind(
        "session without a timeout", "no timeout is named", "media-stream-library#235", odd(session="Session: 4711")
    )
    yield Kind("session with a timeout of 0", "timeout=0", "", odd(session="Session: 4711;timeout=0"))
    yield Kind("session with blanks", "blanks around its parts", "", odd(session="Session: 4711 ; timeout=60"))


def _play() -> Iterator[Kind]:
    for status in ("457 Invalid Range", "400 Bad Request", "501 Not Implemented", "451 Parameter Not Understood"):
        rule = Rule("PLAY", has=("range",), **answer(status=f"RTSP/1.0 {status}"))
        yield Kind(f"PLAY refuses Range with {status[:3]}", "without Range it plays", "", odd(rule))
    silent = Rule("PLAY", play=True)
    yield Kind(
        "PLAY without an answer",
        "no answer, but pictures",
        "",
        odd(silent, case={"loop": True, "within_s": 16, "expect": Expect(alive_after_s=13)}),
    )
    without = Rule("PLAY", header={"session": "4711"}, **answer(play=True))
    yield Kind("PLAY without a session", "the answer names no session", "", odd(without))


def _options() -> Iterator[Kind]:
    for status in (
        "500 Internal Server Error",
        "501 Not Implemented",
        "400 Bad Request",
        "404 Not Found",
        "405 Method Not Allowed",
        "454 Session Not Found",
    ):
        yield Kind(
            f"OPTIONS fails with {status[:3]}", status, "", odd(Rule("OPTIONS", **answer(status=f"RTSP/1.0 {status}")))
        )
    basic = Rule(
        "DESCRIBE",
        lacks=("authorization",),
        **answer('WWW-Authenticate: Basic realm="x"', status="RTSP/1.0 401 Unauthorized"),
    )
    bare = Rule("OPTIONS", **answer(status="RTSP/1.0 401 Unauthorized"))
    yield Kind(
        "OPTIONS fails with 401 without a challenge",
        "DESCRIBE has the challenge",
        "",
        odd(bare, basic, case={"credentials": "admin:secret"}),
    )
    again = {"tries": 3, "within_s": 25.0}
    yield Kind("OPTIONS hangs up", "the connection ends at OPTIONS", "", odd(Rule("OPTIONS", close=True), case=again))
    yield Kind(
        "OPTIONS without an answer",
        "OPTIONS is never answered",
        "",
        odd(Rule("OPTIONS"), case={"tries": 3, "within_s": 40.0}),
    )
    redirect = Rule(
        "DESCRIBE", url=URL, **answer("Location: rtsp://127.0.0.1:{port}/other", status="RTSP/1.0 302 Found")
    )
    yield Kind(
        "DESCRIBE redirects",
        "302 to another path of the same port",
        "go2rtc#1881, retina#92",
        odd(redirect, case={"tries": 2, "within_s": 10.0}),
    )


def _audio() -> Iterator[Kind]:
    body, again = (*BODY, *PCMA), {"tries": 3, "within_s": 25.0}
    yield Kind(
        "SETUP of audio hangs up",
        "the connection ends when audio is set up",
        "",
        odd(Rule("SETUP", url=AUDIO, close=True), body=body, case=again),
    )
    yield Kind(
        "SETUP of audio without an answer",
        "audio is never answered",
        "",
        odd(Rule("SETUP", url=AUDIO), body=body, case={"tries": 3, "within_s": 40.0}),
    )
    for status in (
        "404 Not Found",
        "461 Unsupported Transport",
        "500 Internal Server Error",
        "459 Aggregate Operation Not Allowed",
    ):
        rule = Rule("SETUP", url=AUDIO, **answer(status=f"RTSP/1.0 {status}"))
        yield Kind(f"SETUP of audio fails with {status[:3]}", "audio is refused", "", odd(rule, body=body))
    channels = Rule("SETUP", url=AUDIO, **answer("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", SESSION))
    yield Kind("audio on the channels of the video", "both tracks get channels 0 and 1", "", odd(channels, body=body))


def _transports() -> Iterator[Kind]:
    def refuses(word: str, status: str) -> Rule:
        return Rule("SETUP", contains={"transport": word}, **answer(status=f"RTSP/1.0 {status}"))

    sent = send("h264", encode("h264"))
    reports = {
        "461 Unsupported Transport": "frigate#6222, #1907, RTSPtoWebRTC#195, RTSPtoWeb#249",
        "406 Not Acceptable": "frigate#6222, #1907, RTSPtoWebRTC#195, RTSPtoWeb#249",
    }
    reports |= dict.fromkeys(("400 Bad Request", "404 Not Found", "415 Unsupported Media Type"), "")
    reports |= dict.fromkeys(("451 Parameter Not Understood", "500 Internal Server Error", "501 Not Implemented"), "")
    reports |= {"551 Option Not Supported": "", "": ""}
    again: dict[str, Any] = {"tries": 3, "within_s": 20.0}
    for status, seen in reports.items():
        how = f"is refused with {status[:3]}" if status else "hangs up"
        if status:
            by_tcp, by_datagrams = refuses("TCP", status), refuses("client_port", status)
        else:
            by_tcp = Rule("SETUP", contains={"transport": "TCP"}, close=True)
            by_datagrams = Rule("SETUP", contains={"transport": "client_port"}, close=True)
        case = show(sent=sent, rules=talk(BODY, by_tcp, by_udp()), **again)
        yield Kind(f"only UDP, TCP {how}", f"SETUP over TCP {how}", seen, case)
        case = show(rules=talk(BODY, by_datagrams), transport="udp", **again)
        yield Kind(f"only TCP, UDP is configured and {how}", f"SETUP over UDP {how}", "", case)
    none = Rule("SETUP", **answer(status="RTSP/1.0 500 Internal Server Error"))
    reason = Expect(reason_mentions_any=("status 500; over TCP as over UDP",))
    yield Kind(
        "no transport, SETUP is refused with 500",
        "SETUP fails over TCP and over UDP",
        "",
        odd(none, case={"expect": reason}),
        "the first refusal is the reason",
    )
    yield Kind("UDP", "nothing: the control over UDP", "", show(rules=talk(BODY, by_udp()), transport="udp"))
    source = talk(BODY, by_udp(";source=127.0.0.2", udp_from="127.0.0.2"))
    yield Kind(
        "UDP from another address",
        "datagrams come from the address in source=",
        "gortsplib (tests)",
        show(rules=source, transport="udp"),
    )
    names = {
        "on channels 4 and 5": ("RTP/AVP/TCP;unicast;interleaved=4-5", "gortsplib#72", 4),
        "without channels": ("RTP/AVP/TCP;unicast", "gortsplib#142", 0),
        "with one channel": ("RTP/AVP/TCP;unicast;interleaved=0", "", 0),
        "in lower case": ("rtp/avp/tcp;unicast;interleaved=0-1", "", 0),
        "in capitals": ("RTP/AVP/TCP;UNICAST;INTERLEAVED=0-1", "", 0),
        "with a mode": ('RTP/AVP/TCP;unicast;interleaved=0-1;mode="PLAY";ssrc=1BADCAFE', "", 0),
    }
    for name, (line, seen, channel) in names.items():
        data = send("h264", encode("h264"), Sender(channel=channel))
        yield Kind(f"SETUP {name}", f"Transport: {line}", seen, show(sent=data, rules=talk(BODY, transport=line)))


def _passwords() -> Iterator[Kind]:
    login = {"credentials": "admin:secret"}
    challenges = {
        "Basic": (['Basic realm="x"'], None, ""),
        "Digest": (['Digest realm="x", nonce="n"'], "MD5", ""),
        "Digest with SHA-256": (
            ['Digest realm="x", nonce="n", algorithm=SHA-256'],
            "SHA-256",
            "go2rtc PR2344 (Hikvision)",
        ),
        "Digest with SHA-256 in quotes": (
            ['Digest realm="x", nonce="n", algorithm="SHA-256"'],
            "SHA-256",
            "go2rtc PR2344",
        ),
        "Digest with SHA-512-256": (
            ['Digest realm="x", nonce="n", algorithm=SHA-512-256'],
            "SHA-512-256",
            "go2rtc PR2344",
        ),
        "two challenges, MD5 is accepted only": (
            ['Digest realm="x", nonce="n", algorithm=SHA-256', 'Digest realm="x", nonce="n", algorithm=MD5'],
            "MD5",
            "gortsplib PR863",
        ),
        "Digest and Basic": (['Digest realm="x", nonce="n"', 'Basic realm="x"'], "MD5", ""),
        "Digest with auth-int only": (['Digest realm="x", nonce="n", qop="auth-int"'], "MD5", ""),
        "Digest with an empty nonce": (['Digest realm="x", nonce=""'], "MD5", ""),
    }
    for name, (asked, algorithm, seen) in challenges.items():
        lines = [f"WWW-Authenticate: {text}" for text in asked]
        refused = answer(*lines, status="RTSP/1.0 401 Unauthorized")
        if algorithm is None:
            rule = Rule("DESCRIBE", lacks=("authorization",), **refused)
        else:
            proof = Digest("admin", "secret", "x", "" if 'nonce=""' in asked[0] else "n", algorithm)
            rule = Rule("DESCRIBE", unless_digest=proof, **refused)
        yield Kind(f"password by {name}", "; ".join(asked), seen, odd(rule, case=login | {"tries": 2, "within_s": 8.0}))


def _messages() -> Iterator[Kind]:
    rules = [
        Rule(r.method, url=r.url, header=r.header, reply=r.reply, body=r.body, play=r.play, line_end="\n")
        for r in talk(BODY)
    ]
    yield Kind("lines end with LF", "no CR anywhere", "", show(rules=rules))
    small = [
        Rule(
            r.method,
            url=r.url,
            header=r.header,
            reply=tuple(_lower(line) for line in r.reply),
            body=r.body,
            play=r.play,
        )
        for r in talk(BODY)
    ]
    yield Kind("names of headers in lower case", "cseq, session, transport", "", show(rules=small))
    bare = Rule("DESCRIBE", **answer(BASE, body=BODY))
    yield Kind("no Content-Type", "the description has no type", "moonfire-nvr#300", odd(bare))
    many = Rule("DESCRIBE", **answer(*DESCRIBED, *(f"X-{at}: {at}" for at in range(200)), body=BODY))
    yield Kind("200 headers", "the description has many headers", "", odd(many))
    long = Rule("DESCRIBE", **answer(*DESCRIBED, "X-Info: " + "x" * 9000, body=BODY))
    yield Kind("a header of 9000 bytes", "the description has a long header", "", odd(long))
    place = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
    asks = Rule("SETUP", url=TRACK, **answer(place, SESSION, "", "OPTIONS * RTSP/1.0", "CSeq: 1"))
    yield Kind("requests of the camera", "OPTIONS behind its answer to SETUP", "", odd(asks))
    for name, status in ODD_STATUS.items():
        lines = [
            Rule(
                r.method,
                url=r.url,
                header=r.header,
                reply=tuple(status if line == OK else line for line in r.reply),
                body=r.body,
                play=r.play,
            )
            for r in talk(BODY)
        ]
        yield Kind(f"status line {name}", "in each answer", "", show(rules=lines))
    old = Rule("OPTIONS", reply=("RTSP/1.0 200", "CSeq: {cseq}"))
    yield Kind("status without a reason", "RTSP/1.0 200", "", odd(old))
    public = Rule("OPTIONS", reply=(OK, "CSeq: {cseq}", "Public:"))
    yield Kind("no method is named", "an empty Public", "", odd(public))


def _lower(line: str) -> str:
    name, colon, value = line.partition(":")
    return f"{name.lower()}:{value}" if colon else line
