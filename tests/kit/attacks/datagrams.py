"""Sprays the UDP ports of viewers: STUN without a password, ClientHellos, alerts, RTCP and noise of a stranger."""

import socket

import trio
from OpenSSL import SSL

from .target import Target

EVERY_S = 0.1
ALERT = bytes([21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40])


def client_hello() -> bytes:
    """The first flight of a DTLS client."""
    stranger = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    stranger.set_connect_state()
    try:
        stranger.do_handshake()
    except SSL.WantReadError:
        pass
    return stranger.bio_read(4096)


async def attack(target: Target) -> None:
    """One of each kind to each port, ten times a second; the ports are looked up once a second."""
    kinds = [client_hello(), ALERT, b"\x81\xc9" + bytes(30), b"\x16\xfe\xfd" + bytes(1000), b"\x00\x01", b"\x40" * 50]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        while True:
            try:
                ports = target.udp_ports()
            except OSError:
                ports = []
            for _ in range(10):
                stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + target.rng.randbytes(12)
                for address in ports:
                    for data in (*kinds, stun):
                        try:
                            stranger.sendto(data, address)
                            target.tally["datagrams"] += 1
                        except OSError:
                            target.tally["refused"] += 1
                await trio.sleep(EVERY_S)
