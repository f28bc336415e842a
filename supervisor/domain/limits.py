"""Rate limits: the requests beyond them."""

from .common import Arms, Decisions, Events
from .core import Command, Event, Severity
from .ids import LIMITS
from .state import State
from .values import RefusedClient
from .words import seconds


class ReportRequestsRefused(Command, frozen=True):
    """Requests of clients were rejected within `over_s` seconds because of rate limits."""

    clients: tuple[RefusedClient, ...]
    others: int
    """Rejected requests of clients that are not in `clients`."""
    over_s: float

    sender = "refusals service"


class RequestsRefused(Event, frozen=True):
    """Clients exceeded `limits.journaled_rate`, and got 429 or `RateLimited`. One event covers all clients."""

    clients: tuple[RefusedClient, ...]
    """The 20 clients with the most rejected requests, in descending order."""
    others: int = 0
    """Rejected requests of clients that are not in `clients`."""
    over_s: float = 0.0
    """Time from the first of these rejections to this report."""

    severity = Severity.NOTICE
    emitters = ("ReportRequestsRefused",)
    when = "within a second of the first rejection, then once a minute while there are any"

    @property
    def stream(self) -> str:
        return LIMITS

    def sentence(self) -> str:
        named = [f"{each.requests} of {each.client}" for each in self.clients]
        named += [f"{self.others} of others"] if self.others else []
        return f"requests refused within {seconds(self.over_s)}, over limits.journaled_rate: {', '.join(named)}"


def report_requests_refused(state: State, command: ReportRequestsRefused, now_ns: int) -> Events:
    return (RequestsRefused(command.clients, command.others, command.over_s),)


DECISIONS: Decisions = {
    ReportRequestsRefused: report_requests_refused,
}


ARMS: Arms = {
    RequestsRefused: lambda s, v, at: {},
}
