"""The page over https, in a real browser from a real daemon."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import events as e
from tests.conftest import require
from tests.kit.accounts import ANNA
from tests.kit.certificates import spki_of, write_pair
from tests.kit.chromium import NavigationError, certutil_missing_reason, open_chromium
from tests.kit.daemon import ROOT, Daemon, launch_daemon, open_daemon, write_config
from tests.kit.http import request
from tests.kit.processes import wait_until
from tests.kit.proxies import free_port

from .test_access import ADMIN, log_in
from .test_first_light import wait_frames

pytestmark = pytest.mark.usefixtures("chromium_here")

BEYOND = "127.1"
"""An address that the configuration takes for one beyond loopback. The kernel takes it for 127.0.0.1."""
CAMERAS = {"front": "test:320x180@15"}


def trusting(*certificates: Path) -> tuple[str, ...]:
    """Flags with which Chromium trusts these certificates, and no other unknown one."""
    return (f"--ignore-certificate-errors-spki-list={','.join(map(spki_of, certificates))}",)


async def add_first(folder: Path) -> None:
    """Make the first user over the control socket. Beyond loopback nothing but the setup page is served before."""
    made = await request(
        folder / "control", "POST", "/api/users", json.dumps(ADMIN), {"Content-Type": "application/json"}
    )
    assert made.status == 201, made.text


async def wait_alert(daemon: Daemon, kind: type[e.AlertRaised] | type[e.AlertCleared]) -> Any:
    """Wait until the journal has an event of this kind about the monitor `tls`, and return the event."""

    def found() -> Any:
        return next((row.event for row in daemon.journal() if isinstance(row.event, kind) and "tls" in str(row)), None)

    return await wait_until(found, 60, what=kind.__name__)


async def test_page_is_live_over_https_with_a_given_certificate(tmp_path: Path) -> None:
    """Video, state and WebSocket in a secure context; an address of plain HTTP leads there. New files are used without
    a restart, and wrong ones are reported with what to do."""
    cert, key = write_pair(tmp_path, "127.0.0.1")
    new, new_key = write_pair(tmp_path, "127.0.0.1", name="new")
    web = f"tls: {{cert: {cert}, key: {key}}}"
    async with (
        open_daemon(tmp_path, CAMERAS, web=web) as daemon,
        open_chromium(flags=trusting(cert, new)) as browser,
        browser.open_page(daemon.url.replace("https:", "http:")) as page,
    ):
        assert f"1 camera at https://127.0.0.1:{daemon.port}/" in daemon.output
        assert await page.evaluate("location.href") == daemon.url
        assert await page.evaluate("isSecureContext")
        await page.wait_for("document.querySelector('.link').dataset.link === 'live'")
        await wait_frames(page, 10)

        shutil.copy(new, cert)
        alert = await wait_alert(daemon, e.AlertRaised)
        assert alert.text.startswith(f"{key} is not the key of {cert}; replace both files")
        await page.reload()
        await wait_frames(page, 10)

        shutil.copy(new_key, key)
        await wait_alert(daemon, e.AlertCleared)
        await page.reload()
        await wait_frames(page, 10)


async def test_device_with_the_local_ca_shows_the_page(tmp_path: Path) -> None:
    """`auto` beyond loopback: a browser that has installed the CA of the machine shows the page without a warning, by
    address and by name; one that has not refuses it. A second start shows the same certificate."""
    require(certutil_missing_reason())
    write_config(tmp_path, CAMERAS)
    seen: dict[str, bytes] = {}
    for _ in range(2):
        async with launch_daemon(tmp_path, {"BANKEN_WEB_LISTEN": f"{BEYOND}:0"}) as daemon:
            await daemon.wait_ready()
            assert daemon.secure
            if not seen:
                await add_first(tmp_path)
            async with open_chromium(authority=tmp_path / "tls" / "ca.pem") as browser:
                for host in ("127.0.0.1", "localhost"):
                    async with browser.open_page(f"http://{host}:{daemon.port}/") as page:
                        assert await page.evaluate("location.href") == f"https://{host}:{daemon.port}/"
                        assert await page.evaluate("isSecureContext")
                        await log_in(page, ANNA)
                        await wait_frames(page, 5)
            async with open_chromium(own=True) as browser:
                with pytest.raises(NavigationError, match="ERR_CERT_AUTHORITY_INVALID"):
                    async with browser.open_page(daemon.url):
                        pass
            files = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
            assert seen in ({}, files)
            seen = files


async def test_login_over_https_shows_the_wall_and_keeps_its_cookie_to_tls(tmp_path: Path) -> None:
    """The cookie has the prefix `__Host-`, so it is Secure and of this host alone; scripts do not see it."""
    require(certutil_missing_reason())
    write_config(tmp_path, CAMERAS)
    async with launch_daemon(tmp_path, {"BANKEN_WEB_LISTEN": f"{BEYOND}:0"}) as daemon:
        await daemon.wait_ready()
        await add_first(tmp_path)
        async with (
            open_chromium(authority=tmp_path / "tls" / "ca.pem") as browser,
            browser.open_page(daemon.url.replace("https:", "http:")) as page,
        ):
            await log_in(page, ANNA)
            await wait_frames(page, 5)
            (cookie,) = (await page.command("Network.getCookies"))["cookies"]
            assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-banken", True, True)
            assert await page.evaluate("document.cookie") == ""


async def test_commands_reach_a_daemon_over_https(tmp_path: Path) -> None:
    """By --url with the CA of the configuration, and a token. Another CA is refused, and the error says so; without a
    token, and after its end, too."""
    port = free_port()
    write_config(tmp_path, CAMERAS)
    environment = {"BANKEN_WEB_LISTEN": f"{BEYOND}:{port}"}

    async def banken(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return await trio.run_process(
            [sys.executable, "-m", "supervisor", *arguments, "--config", str(tmp_path / "banken.yaml")],
            capture_stdout=True, capture_stderr=True, cwd=ROOT, check=False, env={**os.environ, **environment},
        )  # fmt: skip

    async with launch_daemon(tmp_path, environment) as daemon:
        await daemon.wait_ready()
        done = await banken("token", "make", "robot", "--role", "admin")
        (tmp_path / "token").write_bytes(done.stdout)
        shown = ("--token-file", str(tmp_path / "token"))
        for url in (daemon.url, f"https://localhost:{port}/"):
            done = await banken("reload", "--url", url, *shown)
            assert (done.returncode, done.stdout) == (0, b"configuration taken: 1 camera\n"), done.stderr
        for command in (["reload"], ["rooms", "join", "new"]):
            done = await banken(*command, "--url", daemon.url)
            assert (done.returncode, b"banken setup-link" in done.stderr) == (1 if command == ["reload"] else 2, True)
        done = await banken("rooms", "join", "no-such-room", "--url", daemon.url, *shown)
        assert (done.returncode, b"no-such-room" in done.stdout) == (1, True), done
        done = await banken("ca")
        assert done.stdout == (tmp_path / "tls" / "ca.pem").read_bytes()
        ca = tmp_path / "tls" / "ca.pem"
        ca.write_bytes(write_pair(tmp_path, "127.0.0.1")[0].read_bytes())
        for command in (["reload"], ["rooms", "join", "new"]):
            done = await banken(*command, "--url", daemon.url)
            assert done.returncode == 2
            assert b"certificate verify failed" in done.stderr
        await banken("token", "end", "robot", "--yes")
