"""Messages of MIKEY: keys, policies, and everything that a camera might send instead."""

import random
import struct
import time

import pytest

from actors.sources.rtsp.mikey import MAX_BYTES, MasterKey, MikeyError, build, parse

KEY, SALT = bytes(range(16)), bytes(range(100, 114))
FROM_A_SERVER = (
    bytes.fromhex("010005007a23295e0100 00958c232700000000")
    + bytes.fromhex("0b00ebf99d4cb05ea24c 0a106c1c02e3ebc63ebf7a7c9bf80dbeacd7")
    + bytes.fromhex("0100000015 000101 010110 020101 03010a 070101 080101 0a0101")
    + bytes.fromhex("00000022 0020001e")
    + KEY
    + SALT
    + b"\0"
)
"""As gortsplib and GStreamer build it: the size of the tag is in the place of the authentication key's."""


def message(*payloads: tuple[int, bytes], streams: bytes = b"\0\0", head: bytes = b"\1\0") -> bytes:
    """A message of these payloads; the first byte of each is filled in."""
    kinds = [kind for kind, _ in payloads] + [0]
    parts = [bytes((following,)) + content for following, (_, content) in zip(kinds[1:], payloads, strict=False)]
    return head + bytes((kinds[0], 0)) + b"name" + streams + b"".join(parts)


def keys(*data: bytes, cipher: int = 0, mac: bytes = b"\0") -> tuple[int, bytes]:
    inner = b"".join(data)
    return 1, struct.pack(">BH", cipher, len(inner)) + inner + mac


def key(content: bytes = KEY + SALT, kind: int = 0x20, behind: bytes = b"", following: int = 0) -> bytes:
    return struct.pack(">BBH", following, kind, len(content)) + content + behind


def policy(*values: tuple[int, int], protocol: int = 0) -> tuple[int, bytes]:
    inner = b"".join(bytes((kind, 1, value)) for kind, value in values)
    return 10, struct.pack(">BBH", 0, protocol, len(inner)) + inner


def test_message_of_a_server_has_key_salt_and_tag() -> None:
    """The key is followed by its salt; the tag has 80 bits."""
    assert parse(FROM_A_SERVER) == MasterKey(KEY, SALT, rollovers={0x958C2327: 0})


def test_byte_behind_the_message_is_ignored() -> None:
    """A video management system is known to add one."""
    assert parse(FROM_A_SERVER + b"\0").key == KEY


def test_rollover_counters_are_read_for_each_ssrc() -> None:
    """The stream has run for a while: the sequence number of one SSRC has begun again three times."""
    streams = b"\2\0" + struct.pack(">BIIBII", 0, 7, 3, 0, 8, 0)
    assert parse(message(keys(key()), streams=streams)).rollovers == {7: 3, 8: 0}


@pytest.mark.parametrize(
    ("values", "tag"),
    [
        ((), 10),
        (((3, 20),), 10),
        (((3, 10),), 10),
        (((3, 4),), 4),
        (((3, 20), (11, 4)), 4),
        (((11, 10), (3, 4)), 10),
        (((0, 1), (1, 16), (2, 1), (4, 14), (5, 0), (6, 0), (7, 1), (8, 1), (10, 1), (12, 0), (99, 7)), 10),
    ],
)
def test_tag_follows_from_the_policy(values: tuple[tuple[int, int], ...], tag: int) -> None:
    """Its size has a parameter; some servers name it as the size of the authentication key."""
    assert parse(message(policy(*values), keys(key()))).tag == tag


@pytest.mark.parametrize(
    "wrong", [(0, 0), (0, 2), (0, 6), (1, 5), (2, 0), (4, 8), (5, 1), (6, 1), (7, 0), (8, 0), (10, 0), (11, 3)]
)
def test_policy_that_demands_something_else_is_refused(wrong: tuple[int, int]) -> None:
    """Another cipher, other sizes, no encryption or no authentication. The text names what can be used."""
    with pytest.raises(MikeyError, match="AES in counter mode with HMAC-SHA1"):
        parse(message(policy(wrong), keys(key())))


def test_policy_of_another_protocol_is_ignored() -> None:
    """Only the policy of SRTP counts."""
    assert parse(message(policy((0, 0), protocol=1), keys(key()))).key == KEY


@pytest.mark.parametrize("size", [16, 24, 32])
def test_longer_keys_are_read(size: int) -> None:
    """AES-192 and AES-256 have longer keys, and the same salt."""
    found = parse(message(policy((1, size)), keys(key(bytes(size) + SALT))))
    assert (len(found.key), found.salt) == (size, SALT)


def test_salt_with_a_length_before_it_is_read() -> None:
    """Type 3 names the salt by itself (RFC 3830, 6.13)."""
    assert parse(message(keys(key(KEY, 0x30, b"\0\x0e" + SALT)))) == MasterKey(KEY, SALT)


def test_name_of_the_key_is_read() -> None:
    """It is in front of each tag."""
    assert parse(message(keys(key(kind=0x21, behind=b"\4wxyz")))).mki == b"wxyz"


def test_first_of_several_keys_is_used() -> None:
    """Those behind it, and their validity, are for later."""
    second = key(bytes(30), 0x22, b"\1a\1b")
    assert parse(message(keys(key(following=20), second))).key == KEY


def test_unused_payloads_are_skipped() -> None:
    """Time, identity, certificate, verification, random bytes and extension may surround the key."""
    others = [(5, b"\2abcd"), (5, b"\0" + bytes(8)), (6, b"\0\0\3abc"), (7, b"\0\0\1a"), (9, b"\1" + bytes(20)),
              (9, b"\0"), (11, b"\2ab"), (21, b"\0\0\2ab")]  # fmt: skip
    assert parse(message(*others, keys(key(), mac=b"\1" + bytes(20)))).key == KEY


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "cut short"),
        (message(), "no key"),
        (message(keys(key()), head=b"\2\0"), "unknown kind"),
        (message(keys(key()), head=b"\1\2"), "unknown kind"),
        (message(keys(key()), streams=b"\0\2"), "unknown kind"),
        (message((3, b"\1"), keys(key())), "unknown kind"),
        (message(keys(key(), cipher=1)), "hides the key"),
        (message(keys(key(kind=0x00))), "unknown kind"),
        (message(keys(key(bytes(29)))), "unknown size"),
        (message(keys(key(bytes(3)))), "unknown size"),
        (message(*[(11, b"\0")] * 64, keys(key())), "no key"),
        (bytes(MAX_BYTES + 1), "too long"),
    ],
)
def test_unusable_message_says_why(data: bytes, text: str) -> None:
    """The text is for people, and quotes nothing."""
    with pytest.raises(MikeyError, match=text):
        parse(data)


def test_message_that_is_cut_anywhere_is_refused() -> None:
    """No prefix of it has a key."""
    for size in range(len(FROM_A_SERVER) - 1):
        with pytest.raises(MikeyError):
            parse(FROM_A_SERVER[:size])


def test_own_message_can_be_read() -> None:
    """With its name, its tag, and the SSRC of our reports."""
    ours = MasterKey(KEY, SALT, 4, b"name")
    found = parse(build(ours, 7, 1 << 63, bytes(20)))
    assert found == MasterKey(KEY, SALT, 4, b"name", {7: 0})


def test_key_is_not_in_the_text_of_a_value() -> None:
    """Neither in a traceback nor in a log."""
    assert "key=" not in repr(parse(FROM_A_SERVER))


def test_mutated_messages_raise_nothing_else_in_linear_time() -> None:
    """20,000 mutations, and one message at the limit."""
    dice = random.Random(5)
    for _ in range(20_000):
        data = bytearray(FROM_A_SERVER)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        del data[dice.randrange(len(data) + 1) :]
        try:
            parse(bytes(data))
        except MikeyError:
            continue
    began = time.thread_time()
    with pytest.raises(MikeyError):
        parse(message((10, struct.pack(">BBH", 0, 0, 3900) + b"\x0c\0" * 1950)))
    assert time.thread_time() - began < 0.05
