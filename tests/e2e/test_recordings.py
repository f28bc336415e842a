"""Recordings on the page: a person starts and stops one, sees why another has a gap, and takes a clip."""

from pathlib import Path

import av
import pytest

from supervisor.domain import events as e
from tests.conftest import require
from tests.kit import axe
from tests.kit.chromium import Page
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.processes import wait_until

from .test_access import open_page_of, says_in
from .test_large import part

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {
    "attic": {"source": "test:320x180@15"},
    "cellar": {"source": "test:320x180@15", "record": "demand"},
    "gate": {"source": "test:320x180@15", "record": "always"},
}
LANGUAGES = {
    "en": {
        "never": "is not recorded",
        "asked": "is recorded when somebody starts it",
        "runs": "is recorded",
        "record": "Record",
        "stop": "Stop recording",
        "nothing": "Nothing is recorded of this time.",
        "backwards": "Choose a time that ends after its beginning.",
        "done": "The clip is downloaded",
        "part": "1 part",
    },
    "ja": {
        "never": "録画しない設定",
        "asked": "手動で開始したときに録画",
        "runs": "録画中",
        "record": "録画",
        "stop": "録画を停止",
        "nothing": "この時間の録画はありません。",
        "backwards": "終了は開始より後にしてください。",
        "done": "クリップをダウンロードしました",
        "part": "1 区間",
    },
}
WITHIN_S = 60.0


def of_row(number: int, name: str) -> str:
    return f"document.querySelectorAll('{part('recording-rows')} > li')[{number}].querySelector('{part(name)}')"


async def row_says(page: Page, number: int, name: str, text: str) -> None:
    await page.wait_for(f"{of_row(number, name)}?.textContent.startsWith({text!r})", WITHIN_S)


async def choose(page: Page, name: str, value: str) -> None:
    await page.evaluate(
        f"(() => {{ const field = document.querySelector('{part(name)}'); field.value = {value!r};"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def has(daemon: Daemon, kind: type[e.Event], camera: str) -> bool:
    return any(isinstance(row.event, kind) and getattr(row.event, "camera", "") == camera for row in daemon.journal())


@pytest.mark.parametrize("language", LANGUAGES)
async def test_person_records_a_camera_and_takes_a_clip(language: str, tmp_path: Path) -> None:
    """Each control. The file that is saved plays, and the journal has who started, stopped and took what."""
    says, saved = LANGUAGES[language], tmp_path / "saved"
    saved.mkdir()
    require(axe.missing_reason())
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_page_of(daemon, language) as page:
        await page.command("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
        await page.click(part("open-recordings"))
        await row_says(page, 0, "recording-state", says["never"])
        await row_says(page, 1, "recording-state", says["asked"])
        await row_says(page, 2, "recording-state", says["runs"])
        assert await page.evaluate(
            f"[0, 2].every((row) => {of_row(0, 'recording-switch').replace('[0]', '[row]')}.hidden)"
        )
        await row_says(page, 1, "recording-switch", says["record"])
        await page.evaluate(f"{of_row(1, 'recording-switch')}.click()")
        await row_says(page, 1, "recording-state", says["runs"])
        await row_says(page, 1, "recording-switch", says["stop"])
        await page.evaluate(f"{of_row(1, 'recording-switch')}.click()")
        await row_says(page, 1, "recording-state", says["asked"])
        assert has(daemon, e.RecordingStarted, "cellar")
        await wait_until(lambda: has(daemon, e.RecordingStopped, "cellar"), WITHIN_S, what="the end of the recording")

        await page.evaluate(f"{of_row(2, 'recording-clip')}.click()")
        await says_in(page, "clip-facts", says["part"])
        assert await page.evaluate(f"document.querySelector('{part('clip-camera')}').value") == "gate"
        await choose(page, "clip-camera", "attic")
        await says_in(page, "clip-facts", says["nothing"])
        assert await page.evaluate(f"document.querySelector('{part('clip-save')}').disabled")
        await choose(page, "clip-camera", "gate")
        await choose(page, "clip-from", "2099-01-01T00:00:00")
        await says_in(page, "clip-facts", says["backwards"])
        await page.evaluate(
            f"document.querySelector('{part('clip-to')}').value = '2099-01-01T00:00:00'",
        )
        await page.click(part("clip-cancel"))
        await page.evaluate(f"{of_row(2, 'recording-clip')}.click()")
        await says_in(page, "clip-facts", says["part"])
        await axe.load_axe(page)
        assert await axe.findings(page) == []
        await page.click(part("clip-save"))
        await says_in(page, "clip-facts", says["done"])
        await wait_until(lambda: any(saved.glob("gate_*.mp4")), WITHIN_S, what="the saved clip")
        await page.click(part("clip-close"))
    (clip,) = saved.glob("gate_*.mp4")
    with av.open(str(clip), "r") as container:
        assert len([*container.decode(video=0)]) >= 15
    (taken,) = [row.event for row in daemon.journal() if isinstance(row.event, e.ClipTaken)]
    assert (taken.camera, taken.format) == ("gate", "mp4")
