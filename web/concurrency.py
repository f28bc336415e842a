"""Limits on concurrent work, in total and per client."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import TooManyRequests

from supervisor.domain.clients import network_of


class ConcurrencyLimit:
    """Limits how many tasks run at a time, in total and for each client as `network_of` names it."""

    def __init__(self, most: int, most_of_client: int, detail: str) -> None:
        """Limit the tasks to `most` in total and `most_of_client` per client; `detail` is the text of the refusal."""
        self._most, self._most_of_client, self._detail = most, most_of_client, detail
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        return self._taken.total()

    @contextmanager
    def hold(self, client: str) -> Iterator[str]:
        """Count a task of `client`; yields its network. Raises `TooManyRequests` (429) if a limit is reached."""
        name = network_of(client)
        if self._taken[name] >= self._most_of_client or self.taken >= self._most:
            raise TooManyRequests(self._detail, retry_after=1)
        self._taken[name] += 1
        try:
            yield name
        finally:
            self._taken[name] -= 1
            self._taken += Counter()  # removes entries of 0
