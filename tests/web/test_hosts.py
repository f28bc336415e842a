"""Whose name a request may come by: a page of a stranger's, whose name leads here, is refused."""

import pytest

from tests.kit.site import open_site
from web.hosts import is_ours

OURS = ["127.0.0.1:8620", "localhost", "LOCALHOST.:80", "nas", "nas.local:8620", "[::1]:8620", "cams.example:443"]


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_names_of_ours(host: str) -> None:
    assert is_ours(host, ["https://cams.example"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "local.evil",
        "[::1",
        "a@evil.example",
        "localhost@evil.example",
        "evil.example/.local",
        "evil.example#.local",
        "evil.example?.local",
        "evil.example\\.local",
        "evil.example .local",
        "evil.example%00.local",
        "[evil.example]",
        "[nas]",
        "[127.0.0.1]x",
        "[::1%eth0]",
        "evil.example:80:80",
        "evil.example..",
        "\u0131.local",
    ],
)
def test_names_of_others(host: str) -> None:
    assert not is_ours(host, ["https://cams.example"])


async def test_a_page_whose_name_leads_here_reads_nothing() -> None:
    stranger = {"Host": "evil.example", "Origin": "http://evil.example"}
    async with open_site() as site:
        for path in ("/", "/api/cameras", "/healthz"):
            answer = await site.get(path, **stranger)
            assert (answer.status, "evil.example" in answer.json["detail"]) == (421, True)
        assert (await site.knock(**stranger)).status == 421
        assert (await site.knock(path="/ws/signaling", **stranger)).status == 421
        assert (await site.get("/api/cameras", Host="localhost")).status == 200
