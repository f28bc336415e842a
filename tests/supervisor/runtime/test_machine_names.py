"""The names and addresses of a machine, from tables of the kernel and from a configuration."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from supervisor.runtime.machine_names import MOST_NAMES, configured_names, machine_names, names_of

TRIE = """Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.168.1.0
        /24 link UNICAST
     |-- 192.168.1.7
        /32 host LOCAL
     |-- 192.168.1.255
        /32 link BROADCAST
     |-- 203.0.113.9
        /32 host LOCAL
"""
SIX = """fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
20010db8000000000000000000000003 04 40 00 00     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_names_of_a_machine_are_its_host_name_and_lasting_addresses(tmp_path: Path) -> None:
    """IPv4 addresses of its interfaces and private IPv6 ones; link-local and public IPv6 ones are left out."""
    (tmp_path / "fib_trie").write_text(TRIE)
    (tmp_path / "if_inet6").write_text(SIX)
    found = machine_names(tmp_path, "NVR.corp.example")
    assert found.hosts == {
        "localhost", "nvr.corp.example", "nvr", "nvr.local", "nvr.lan", "nvr.internal", "nvr.home.arpa"
    }  # fmt: skip
    assert {str(each) for each in found.addresses} == {"127.0.0.1", "::1", "192.168.1.7", "203.0.113.9", "fd00::2"}


def test_machine_without_tables_has_loopback_alone(tmp_path: Path) -> None:
    """Another kernel, or none of it visible; a host name that no certificate can have is left out."""
    found = machine_names(tmp_path, "my_box")
    assert str(found) == "localhost, 127.0.0.1, ::1"


def test_machine_with_many_addresses_has_bounded_names(tmp_path: Path) -> None:
    """A router with ten thousand of them gets a certificate with some; its name is among them."""
    rows = (f"  |-- 10.{number // 250}.{number % 250}.1\n     /32 host LOCAL\n" for number in range(10_000))
    (tmp_path / "fib_trie").write_text("".join(rows))
    found = machine_names(tmp_path, "nvr")
    assert len(found.hosts) + len(found.addresses) == MOST_NAMES
    assert "nvr.local" in found.hosts


def test_this_machine_has_loopback() -> None:
    """By the tables of the kernel that runs the test."""
    assert ip_address("127.0.0.1") in machine_names().addresses


@pytest.mark.parametrize(
    ("host", "origins", "names"),
    [
        ("0.0.0.0", [], ""),
        ("::", ["https://Cams.Example", "https://10.0.0.1:8443"], "cams.example, 10.0.0.1"),
        (
            "192.168.1.7",
            ["https://[fd00::1]:8620/", "https://[broken", "app://x", "https://a_b"],
            "x, 192.168.1.7, fd00::1",
        ),
        ("127.1", [], ""),
    ],
)
def test_configured_names_are_those_that_a_certificate_can_have(host: str, origins: list[str], names: str) -> None:
    """The host of `web.listen` and those of `web.allow_origins`."""
    assert str(configured_names(host, origins)) == names


def test_long_names_take_linear_time() -> None:
    """A name that no host can have is left out at once."""
    assert not names_of([f"{'a-' * 50_000}!", f"{'a.' * 50_000}!"])
