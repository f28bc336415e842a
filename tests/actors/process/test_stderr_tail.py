"""The stderr tail of a child: bounded, without secrets, and a flood is reported."""

import pytest
import trio
from trio.testing import MockClock, memory_stream_one_way_pair

from actors.process.stderr_tail import CHUNK, FLOOD, LINE_LENGTH, TAIL_LINES, StderrTail

SECRET = "hunter2"


async def tail_of(*chunks: bytes, pause_s: float = 0.0) -> tuple[tuple[str, ...], int]:
    """Return the lines kept of these chunks, and how often a flood was reported."""
    floods: list[None] = []
    send, receive = memory_stream_one_way_pair()
    tail = StderrTail((SECRET,), lambda: floods.append(None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tail.read, receive)
        for chunk in chunks:
            await send.send_all(chunk)
            await trio.sleep(pause_s)
        send.close()
    assert tail.finished.is_set()
    return tail.lines(), len(floods)


async def test_the_last_lines_are_kept(autojump_clock: MockClock) -> None:
    """Of 1000 lines the last 20 are left, in order."""
    lines, _ = await tail_of(*(f"line {number}\n".encode() for number in range(1000)))
    assert lines == tuple(f"line {number}" for number in range(1000 - TAIL_LINES, 1000))


async def test_a_line_may_come_in_pieces_and_without_an_end(autojump_clock: MockClock) -> None:
    """A carriage return ends a line too, as in ffmpeg's progress."""
    assert (await tail_of(b"so", b"me\rwor", b"ds", pause_s=1))[0] == ("some", "words")


@pytest.mark.parametrize("before", [0, LINE_LENGTH - 3, CHUNK - 3, CHUNK + 3])
async def test_no_half_of_a_secret_is_kept(autojump_clock: MockClock, before: int) -> None:
    """This holds wherever lines and chunks are cut."""
    text = b"x" * before + SECRET.encode() + b" and more\n" + b"y" * CHUNK + b"\n" + SECRET.encode()
    lines, _ = await tail_of(text)
    assert lines
    assert not any(part in "".join(lines) for part in ("hun", "nter"))
    assert max(map(len, lines)) <= LINE_LENGTH


async def test_of_an_endless_line_the_beginning_is_kept(autojump_clock: MockClock) -> None:
    """More than two chunks without a line end are one line; the secret in the rest is not kept."""
    lines, _ = await tail_of(b"the beginning " + b"x" * CHUNK, b"y" * CHUNK, SECRET.encode() * 3)
    assert [line[:14] for line in lines] == ["the beginning "]


async def test_a_flood_is_reported_once(autojump_clock: MockClock) -> None:
    """5 MB without a pause: one report."""
    assert (await tail_of(*[b"complaint\n" * 1000] * 500))[1] == 1


async def test_a_flood_is_read_with_pauses(autojump_clock: MockClock) -> None:
    """At most a chunk in 10 ms: the child waits, and the loop has time for others."""
    began = trio.current_time()
    await tail_of(*[b"x" * CHUNK] * 100)
    assert trio.current_time() - began >= 0.99


async def test_much_in_a_long_time_is_no_flood(autojump_clock: MockClock) -> None:
    """As much as a flood, but spread over 20 s: no report."""
    chunk = b"complaint\n" * 5000
    assert (await tail_of(*[chunk] * 100, pause_s=0.2)) == ((("complaint",) * TAIL_LINES), 0)
    assert len(chunk) * 100 > FLOOD


@pytest.mark.parametrize("word", [SECRET, f"{SECRET} ", f"rtsp://u:{SECRET}@h "])
@pytest.mark.parametrize("more", range(len(SECRET)))
async def test_line_of_secrets_is_cut_between_them(autojump_clock: MockClock, word: str, more: int) -> None:
    """Redaction shortens the line, so that more of its end is shown."""
    line = "x " + "y" * more + " " + word * 300
    lines, _ = await tail_of(line.encode() + b"\n", line.encode())
    assert len(lines) == 2
    for shown in lines:
        assert "h" not in shown.replace("@h", "").replace("u:***", "")
