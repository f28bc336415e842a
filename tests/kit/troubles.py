"""The summary of the report against its table: both state the downtime and the number of losses of each camera."""

from collections.abc import Sequence

from supervisor.domain.availability import Availability
from supervisor.forensics.troubles import SLOW_NS, Trouble


def untold(troubles: Sequence[Trouble], found: Availability) -> str | None:
    """A camera of which the troubles of a stretch say something else than the sum of the same stretch."""
    for one in found.cameras:
        outages = [outage for trouble in troubles for outage in trouble.outages if outage.camera == one.camera]
        gone_s, losses = sum(outage.gone_ns for outage in outages) / 1e9, sum(outage.losses for outage in outages)
        dark_s = one.wanted_s - one.live_s
        if losses != one.losses:
            return f"{one.camera}: {losses} losses of {one.losses}"
        if not one.cycles and gone_s > dark_s + 1e-3:
            return f"{one.camera}: gone for {gone_s} s of {dark_s} s"
        if one.away_max_s * 1e9 >= SLOW_NS and gone_s < one.away_max_s - 1e-3 and outages:
            return f"{one.camera}: gone for {gone_s} s, once for {one.away_max_s} s"
        longest_s = max((outage.gone_ns / 1e9 for outage in outages if outage.times == 1), default=0.0)
        if longest_s > one.away_max_s + 1e-3:
            return f"{one.camera}: gone for {longest_s} s without a break, for {one.away_max_s} s at most"
        if (one.losses or one.cycles > one.cycles_served) and not outages:
            return f"{one.camera}: no trouble has it"
    return None
