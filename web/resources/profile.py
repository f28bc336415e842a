"""A profile of the daemon: which functions of its event loop use the time."""

from itertools import chain
from typing import Annotated

import msgspec

from supervisor.base.profile import MOST_S, ProfileBusy, Profiler
from supervisor.base.profile import Profile as Found
from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.ports.asking import origin_of

from ..bodies import Strict
from ..client import client
from ..json import Answer
from ..routes import Right, Route, Web


class ProfileRequest(Strict, frozen=True):
    seconds: Annotated[float, msgspec.Meta(ge=0.1, le=MOST_S)]


class ProfiledFunction(Answer, frozen=True):
    file: str
    """Its path in the installation."""
    name: str
    line: int
    """The line at which it begins."""


class ProfiledStack(Answer, frozen=True):
    functions: list[int]
    """Places in `functions` of the profile, the outermost first."""
    samples: int


class Profile(Answer, frozen=True):
    """A profile of the event loop. It is sampled at 100 Hz, also while the loop waits."""

    seconds: float
    cpu: float
    """The share of a core that the loop used: 0.25 is a quarter."""
    cost: float
    """The part of it in which samples were taken."""
    samples: int
    idle: int
    """The samples of them in which the loop waited for events."""
    others: int
    """Samples of rare stacks, which are not among `stacks`."""
    functions: list[ProfiledFunction]
    stacks: list[ProfiledStack]
    """Those of the samples that were not idle, the most frequent first."""


async def take_profile(web: Web, body: ProfileRequest) -> Profile:
    """Sample the event loop for `seconds`, and answer then. It ends with the connection. One at a time: 409."""
    profiler = web.keep(Profiler)
    try:
        with profiler.reserve(body.seconds):
            await web.gateway.submit(c.ReportProfile(body.seconds, client()), origin_of(client()))
            return profile(await profiler.run(body.seconds))
    except ProfileBusy as busy:
        raise Rejected(Refusal.CONFLICT, str(busy), busy.left_s) from None


def profile(found: Found) -> Profile:
    places = {
        each: place
        for place, each in enumerate(dict.fromkeys(chain.from_iterable(stack.functions for stack in found.stacks)))
    }
    stacks = [ProfiledStack([places[each] for each in stack.functions], stack.samples) for stack in found.stacks]
    return Profile(
        seconds=round(found.seconds, 3),
        cpu=round(found.cpu, 4),
        cost=round(found.cost, 4),
        samples=found.samples,
        idle=found.idle,
        others=found.others,
        functions=[ProfiledFunction(each.file, each.name, each.line) for each in places],
        stacks=stacks,
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/profile",
        right=Right.ADMINISTER,
        handler=take_profile,
        summary="Find which functions of the event loop use its time.",
        body=ProfileRequest,
        request="`seconds`: 0.1 to 60",
        answer=Profile,
        response="the [profile](#profile), when the time is over",
        errors=(400, 409, 415, 429, 503),
    ),
)
