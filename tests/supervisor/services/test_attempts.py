"""Attempts: slowed down, journaled and counted."""

from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.domain import events as e
from supervisor.services.accounts import WRONG_PASSWORD
from supervisor.services.attempts import TRIES, TRY_EVERY_S, Attempts
from tests.kit.core import open_core


async def test_failures_are_journaled_once_a_second_and_counted(mock_clock: MockClock) -> None:
    """A thousand guesses do not fill the journal."""
    async with open_core() as core:
        attempts = Attempts(core.kernel)
        for number in range(40):
            attempts.say_failed("", f"192.0.2.{number}", WRONG_PASSWORD)
        await core.stored()
        await wait_all_tasks_blocked()
        mock_clock.jump(2)
        attempts.say_failed("anna", "192.0.2.1", WRONG_PASSWORD)
        failed = [row.event for row in await core.stored() if isinstance(row.event, e.LoginFailed)]
        assert [(event.user, event.suppressed) for event in failed] == [("", 0), ("anna", 39)]


async def test_wrong_secrets_slow_down_the_account_and_the_network(mock_clock: MockClock) -> None:
    """Others go on; after a while one more is let through."""
    async with open_core() as core:
        attempts = Attempts(core.kernel)
        for _ in range(TRIES):
            assert attempts.wait_s("anna", "192.0.2.1") == 0
            attempts.take("anna", "192.0.2.1")
        assert attempts.wait_s("anna", "198.51.100.1") > 0
        assert attempts.wait_s("ben", "192.0.2.1") > 0, "the same network"
        assert attempts.wait_s("ben", "198.51.100.1") == 0
        mock_clock.jump(TRY_EVERY_S + 1)
        assert attempts.wait_s("anna", "192.0.2.1") == 0
