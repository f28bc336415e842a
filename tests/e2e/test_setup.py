"""The first user from another machine: a real daemon, its command, and a real browser with the link."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from supervisor.domain import events as e
from tests.conftest import require
from tests.kit import axe
from tests.kit.accounts import ANNA, PASSWORDS
from tests.kit.chromium import open_chromium
from tests.kit.daemon import ROOT, Daemon, launch_daemon, write_config
from tests.kit.http import request
from tests.kit.processes import wait_until

from .test_access import LIVE, type_into
from .test_https import BEYOND
from .test_large import part, text_of

CAMERAS = {"cellar": "test:320x180@15"}
LINK = re.compile(r"https?://\S+/setup#(\S+)")
LANGUAGES = {
    "en": {
        "warns": "From now on everybody has to log in, also on this machine.",
        "name": "Enter a name.",
        "short": "A password has at least 8 characters.",
        "easy": "Easy to guess.",
        "harder": "Harder to guess.",
        "hard": "Hard to guess.",
        "wrong": "This link is wrong",
        "link": "Open the whole link",
        "late": "Somebody else has added the first user.",
    },
    "ja": {
        "warns": "これからは、このマシンでも全員がログインする必要があります。",
        "name": "名前を入力してください。",
        "short": "パスワードは 8 文字以上です。",
        "easy": "推測されやすい",
        "harder": "推測されにくい",
        "hard": "推測が難しい",
        "wrong": "このリンクは正しくない",
        "link": "コマンド banken setup-link が表示するリンク全体",
        "late": "ほかの人が最初の利用者を追加しました。",
    },
}


@asynccontextmanager
async def open_beyond(folder: Path) -> AsyncIterator[Daemon]:
    """A daemon that takes its address for one beyond loopback, without TLS."""
    write_config(folder, CAMERAS, web="tls: off")
    async with launch_daemon(folder, {"BANKEN_WEB_LISTEN": f"{BEYOND}:0"}) as daemon:
        await daemon.wait_ready()
        yield daemon


async def banken(folder: Path, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "supervisor", *arguments, "--config", str(folder / "banken.yaml")]
    return await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, cwd=ROOT, check=False, stdin=text, env={**os.environ}
    )


async def link_of(daemon: Daemon) -> str:
    done = await banken(daemon.folder, "setup-link")
    assert done.returncode == 0, done.stderr
    link = done.stdout.decode().strip()
    assert LINK.fullmatch(link)
    assert f":{daemon.port}/setup#" in link
    assert b"it works once, until" in done.stderr
    return link


def everything_written(folder: Path) -> bytes:
    """All files of the daemon, its log and journal among them, and the command lines of all processes."""
    found = [*(path for path in folder.rglob("*") if path.is_file()), *Path("/proc").glob("[0-9]*/cmdline")]
    return b"".join(path.read_bytes() for path in found if path.exists())


async def says(page: object, name: str, text: str) -> None:
    await page.wait_for(f"{text_of(part(name))}.includes({text!r})")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("chromium_here")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_link_leads_to_the_page_that_makes_the_first_user(language: str, tmp_path: Path) -> None:
    """With each mistake on the way: no link, a wrong one, no name, a short password. Then the wall is live, and neither
    log nor journal nor any process has shown the secret or the password."""
    words = LANGUAGES[language]
    async with open_beyond(tmp_path) as daemon, open_chromium() as browser, browser.open_page("about:blank") as page:
        link = await link_of(daemon)
        address, _, secret = link.partition("#")
        await page.goto(address)
        await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
        await page.goto("about:blank")
        await page.goto(address)
        await page.wait_for("document.activeElement?.dataset.part === 'setup-user'")
        assert words["warns"] in await page.evaluate(text_of(".login-why"))
        await page.click(part("setup-save"))
        await says(page, "setup-problem", words["link"])

        await page.goto("about:blank")
        await page.goto(f"{address}#wrong")
        await page.click(part("setup-save"))
        await says(page, "setup-problem", words["name"])
        await type_into(page, "setup-user", ANNA)
        for text, said in (
            ("short", "short"),
            ("correcthors", "easy"),
            ("correct horse", "harder"),
            ("x1" * 20, "easy"),
        ):
            await type_into(page, "setup-password", text)
            await says(page, "setup-strength", words[said])
        await type_into(page, "setup-password", "correct horse battery")
        await says(page, "setup-strength", words["hard"])
        await page.click(part("setup-show"))
        assert await page.evaluate(f"document.querySelector('{part('setup-password')}').type") == "text"
        await page.press("Enter")
        await says(page, "setup-problem", words["wrong"])

        await page.goto("about:blank")
        await page.goto(link)
        await type_into(page, "setup-user", ANNA)
        await type_into(page, "setup-password", "short")
        await page.press("Enter")
        await says(page, "setup-problem", words["short"])
        await type_into(page, "setup-password", PASSWORDS[ANNA])
        await page.press("Enter")
        await page.wait_for(LIVE, 30)
        assert await page.evaluate("location.hash + location.pathname") == "/"
        assert [
            line.text for line in page.console if line.kind in ("error", "uncaught") and "40" not in line.text
        ] == []

        (added,) = [row.event for row in daemon.journal() if isinstance(row.event, e.UserAdded)]
        assert (added.user, added.role) == (ANNA, "admin")
        assert [hidden for hidden in (secret, PASSWORDS[ANNA]) if hidden.encode() in everything_written(tmp_path)] == []
        assert (await banken(tmp_path, "setup-link")).returncode == 1

        await page.goto("about:blank")
        await page.goto(link)
        await page.wait_for(LIVE, 30)


@pytest.mark.usefixtures("chromium_here")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_second_person_with_the_link_is_sent_to_the_login(language: str, tmp_path: Path) -> None:
    """The faster one is an admin; the page of the other one says so."""
    async with open_beyond(tmp_path) as daemon, open_chromium() as browser, browser.open_page("about:blank") as page:
        link = await link_of(daemon)
        await page.goto(link)
        await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
        await page.reload()
        body = {"secret": link.partition("#")[2], "user": ANNA, "password": PASSWORDS[ANNA]}
        made = await request(daemon.port, "POST", "/api/setup", json.dumps(body), {"Content-Type": "application/json"})
        assert made.status == 201, made.text
        await type_into(page, "setup-user", "ben")
        await type_into(page, "setup-password", "battery staple")
        await page.press("Enter")
        await says(page, "setup-problem", LANGUAGES[language]["late"])
        await page.click(part("setup-login"))
        await page.wait_for("document.activeElement?.dataset.part === 'login-user'")


@pytest.mark.usefixtures("chromium_here")
async def test_setup_page_is_accessible_in_both_themes(tmp_path: Path) -> None:
    """axe-core finds nothing, from 375 to 2560 pixels, also with an error; nothing is wider than the window."""
    require(axe.missing_reason())
    async with open_beyond(tmp_path) as daemon, open_chromium() as browser, browser.open_page("about:blank") as page:
        await page.goto(f"{await link_of(daemon)}")
        await type_into(page, "setup-password", "correct horse")
        await page.click(part("setup-save"))
        await says(page, "setup-problem", LANGUAGES["en"]["name"])
        await page.evaluate(f"document.querySelector('{part('setup-over')}').hidden = false")
        await axe.load_axe(page)
        for width in (375, 1440, 2560):
            await page.set_viewport(width, 800)
            for theme in ("dark", "light"):
                await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                await page.wait_for("document.getAnimations().length === 0")
                assert await axe.findings(page) == [], (width, theme)
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("harm", ["lost", "damaged", "set aside", "rolled back"])
async def test_journal_that_forgets_the_users_opens_neither_setup_nor_trust(harm: str, tmp_path: Path) -> None:
    """The access file has the fact that trust has ended. The user still logs in."""
    journal, before = tmp_path / "journal", tmp_path / "before"
    async with open_beyond(tmp_path) as daemon:
        await daemon.end()
    shutil.copytree(journal, before)
    async with open_beyond(tmp_path) as daemon:
        added = await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n".encode())
        assert added.returncode == 0, added.stderr
        await daemon.end()
    match harm:
        case "lost":
            shutil.rmtree(journal)
        case "rolled back":
            shutil.rmtree(journal)
            before.rename(journal)
        case _:
            segments = [path for path in journal.iterdir() if path.suffix in (".db", ".sqlite", ".journal")]
            assert segments, list(journal.iterdir())
            for each in segments:
                each.write_bytes(b"\xff" * each.stat().st_size)
            if harm == "set aside":
                repaired = await trio.run_process(
                    [sys.executable, "-m", "supervisor", "repair", str(journal), "--yes"],
                    capture_stdout=True, capture_stderr=True, cwd=ROOT, check=False,
                )  # fmt: skip
                assert repaired.returncode in (0, 1), repaired.stderr
    async with open_beyond(tmp_path) as daemon:
        assert (await request(daemon.port, "GET", "/setup")).status == 303
        for path in ("/api/cameras", "/api/users"):
            assert (await request(daemon.port, "GET", path)).status == 401
        done = await banken(tmp_path, "setup-link")
        assert (done.returncode, b"banken has users" in done.stderr) == (1, True)
        body = json.dumps({"user": ANNA, "password": PASSWORDS[ANNA]})
        answer = await request(daemon.port, "POST", "/api/session", body, {"Content-Type": "application/json"})
        assert answer.status == 201
        assert "banken setup-link" not in daemon.output.rpartition("banken: 1 camera")[0]


async def test_daemon_prints_the_link_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    """On stderr alone. In a file, stderr has no link, and stdout never has."""
    async with open_beyond(tmp_path) as daemon:
        assert LINK.search(daemon.output) is None
        assert "banken setup-link" in daemon.output
        await daemon.end()
    parent, child = pty.openpty()
    stdout = tmp_path / "stdout"
    with stdout.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
            [sys.executable, "-m", "supervisor", "run", str(tmp_path / "banken.yaml")],
            cwd=ROOT, env={**os.environ, "BANKEN_WEB_LISTEN": f"{BEYOND}:0"}, stdout=output, stderr=child,
            start_new_session=True,
        )  # fmt: skip
    os.close(child)
    os.set_blocking(parent, False)
    seen = bytearray()

    def link() -> re.Match[str] | None:
        try:
            seen.extend(os.read(parent, 65536))
        except BlockingIOError:
            pass
        return LINK.search(seen.decode(errors="replace"))

    try:
        found = await wait_until(link, 30, what="the link")
        assert found is not None
        port = int(found[0].partition("/setup")[0].rpartition(":")[2])
        body = {"secret": found[1], "user": ANNA, "password": PASSWORDS[ANNA]}
        made = await request(port, "POST", "/api/setup", json.dumps(body), {"Content-Type": "application/json"})
        assert made.status == 201, made.text
        assert found[1] not in stdout.read_text()
    finally:
        process.terminate()
        await trio.to_thread.run_sync(process.wait)
        os.close(parent)
