"""The audit on the page: each control is used, in both languages; and a watcher sees her own rows."""

from pathlib import Path

import pytest

from supervisor.domain.rights import Role
from tests.kit import axe
from tests.kit.accounts import ANNA, BEN
from tests.kit.daemon import open_daemon

from .test_access import CAMERAS, LIVE, add_anna, add_ben, log_in, open_page_of, type_into
from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

ROWS = f"document.querySelectorAll('{part('audit-rows')} > tr')"
WORDS = {"en": ("No rows match.", "login"), "ja": ("一致する行はありません。", "ログイン")}


@pytest.mark.parametrize("language", WORDS)
async def test_audit_is_filtered_paged_drawn_and_saved(language: str, tmp_path: Path) -> None:
    """By mouse and keyboard; axe finds nothing."""
    empty, login = WORDS[language]
    saved = tmp_path / "saved"
    saved.mkdir()
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, Role.WATCHER)
        assert (await chief.get("/cameras/cellar/snapshot.jpg")).status == 200
        async with open_page_of(daemon, language) as page:
            await page.command("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await page.press("u")
            await page.wait_for("location.hash === '#audit'")
            await page.click(part("open-audit"))
            await page.click(part("open-audit"))
            await page.wait_for(
                f"{ROWS}.length > 3 && !document.querySelector('{part('audit-plot')}').hasAttribute('hidden')"
            )
            assert await page.evaluate(f"document.querySelectorAll('{part('audit-plot')} rect').length") > 0
            await axe.load_axe(page)
            assert await axe.findings(page) == []
            await page.evaluate(f"document.querySelector('{part('audit-kind')}').value = 'login'")
            await page.click(part("audit-show"))
            await page.wait_for(
                f"[...{ROWS}].length > 0 && [...{ROWS}].every((row) => row.innerText.includes({login!r}))"
            )
            await page.click(part("audit-csv"))
            await page.evaluate(f"document.querySelector('{part('audit-kind')}').value = ''")
            await page.evaluate(f"document.querySelector('{part('audit-camera')}').value = 'gate'")
            await page.evaluate(f"document.querySelector('{part('audit-time')}').value = '3600'")
            await type_into(page, "audit-user", "nobody-of-that-name")
            await page.press("Enter")
            await page.wait_for(f"{text_of(part('audit-note'))} === {empty!r}")
            await page.evaluate(f"document.querySelector('{part('audit-camera')}').value = ''")
            await type_into(page, "audit-user", ANNA)
            for number in range(101):
                token = {"token": f"token-{number}", "role": "watcher", "everything": True}
                assert (await chief.post("/api/tokens", token)).status == 201
            await page.press("Enter")
            await page.wait_for(f"{ROWS}.length === 100")
            await page.click(part("audit-more"))
            await page.wait_for(f"{ROWS}.length > 100")
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []
    (file,) = saved.glob("banken-audit*.csv")
    head, *lines = file.read_text().splitlines()
    assert head.startswith("kind,user,by,session")
    assert {line.partition(",")[0] for line in lines} == {"login"}


async def test_watcher_sees_own_rows_alone(tmp_path: Path) -> None:
    """Nobody else's name is on the page."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, Role.WATCHER)
        assert (await chief.get("/cameras/cellar/snapshot.jpg")).status == 200
        async with open_page_of(daemon) as page:
            await log_in(page, BEN)
            await page.wait_for(LIVE, 30)
            await page.press("u")
            await page.wait_for(f"{ROWS}.length > 0")
            assert await page.evaluate(f"[...{ROWS}].every((row) => row.cells[1].innerText === {BEN!r})")
