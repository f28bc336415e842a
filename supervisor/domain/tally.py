"""Counts the events that each client's requests lead to. Both tables are bounded."""

from collections import Counter

from .clients import client_in, network_of

MOST_CORRELATIONS, MOST_CLIENTS = 8192, 1024


class Tally:
    """Counts events by client. `count` is called for each event and takes a microsecond."""

    def __init__(self) -> None:
        self._client_of: dict[str, str] = {}
        """Correlations of clients' requests, the newest last."""
        self._events = 0
        self._by_client: Counter[str] = Counter()

    def count(self, principal: str, correlation: str) -> None:
        """Count an event. It follows from a client's request if its principal or its correlation is that client's."""
        self._events += 1
        client = client_in(principal)
        if client is not None:
            name = network_of(client)
            if correlation not in self._client_of:
                if len(self._client_of) >= MOST_CORRELATIONS:
                    del self._client_of[next(iter(self._client_of))]
                self._client_of[correlation] = name
        else:
            found = self._client_of.get(correlation)
            if found is None:
                return
            name = found
        if name in self._by_client or len(self._by_client) < MOST_CLIENTS:
            self._by_client[name] += 1

    def take(self) -> tuple[int, Counter[str]]:
        """The number of events since the last call, in total and by client."""
        taken = self._events, self._by_client
        self._events, self._by_client = 0, Counter()
        return taken
