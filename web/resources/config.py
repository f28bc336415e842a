"""The configuration: it is read again on request."""

from quart import Response

from supervisor.domain.state import State

from ..client import client
from ..json import Answer, Time, iso
from ..problems import problem
from ..routes import Right, Route, Web


class Reloaded(Answer, frozen=True):
    """The configuration that is in use now."""

    cameras: int
    warnings: tuple[str, ...]


class Refused(Answer, frozen=True):
    """A change of the configuration that was refused."""

    origin: str
    lines: tuple[str, ...]
    """Its first problems."""
    more: int
    """The number of the others."""
    since: Time


async def reload_configuration(web: Web) -> Reloaded | Response:
    """Reload the file; an invalid one is answered with 422, `lines` and the number of `more`, and is not used."""
    reloaded = await web.gateway.reload(client())
    if reloaded.refused:
        text = "the configuration cannot be used; the one before stays in use"
        kind = "urn:banken:problem:configuration-refused"
        return problem(422, text, kind=kind, lines=reloaded.refused, more=reloaded.more)
    return Reloaded(cameras=reloaded.cameras, warnings=reloaded.warnings)


def refused(state: State) -> Refused | None:
    """Return the refused configuration change, until a valid one is read; null if no change was refused."""
    found = state.refused
    if found is None:
        return None
    return Refused(origin=found.origin, lines=found.lines, more=found.more, since=iso(found.since_ns))


ROUTES = (
    Route(
        method="POST",
        path="/api/config/reload",
        right=Right.ADMINISTER,
        handler=reload_configuration,
        summary="Read the configuration file again.",
        answer=Reloaded,
        response="the [configuration](#reloaded) in use; durable before the answer",
        errors=(409, 422, 429),
    ),
)
