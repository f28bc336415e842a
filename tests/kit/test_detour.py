"""The answer that the browser receives instead of banken's own."""

from tests.kit.detour import through
from tests.kit.link import Link
from tests.kit.relay import open_relay

ANSWER = """v=0
m=video 9 UDP/TLS/RTP/SAVPF 102
a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host
a=candidate:2 1 udp 2130706431 127.0.0.1 40001 typ host
a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host
a=candidate:3 1 udp 2130706431 ::1 40002 typ host
a=candidate:4 1 udp 1694498815 192.0.2.1 40003 typ srflx raddr 127.0.0.1 rport 40000
a=end-of-candidates
""".replace("\n", "\r\n")


async def test_the_answer_names_the_relays_ports_and_no_others() -> None:
    """One for each port of banken's; everything else stays as it is, to the byte."""
    async with open_relay(Link(), Link(), 1) as relay:
        lines = (await through(relay, ANSWER)).split("\r\n")
    first, second, again = (line.split(" ") for line in lines[2:5])
    assert {int(first[5]), int(second[5])} == relay.ports
    assert again == first
    assert [" ".join(each[:5]) for each in (first, second)] == [
        f"a=candidate:{number} 1 udp 2130706431 127.0.0.1" for number in (1, 2)
    ]
    assert lines[:2] + lines[5:] == ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 102", "a=end-of-candidates", ""]
