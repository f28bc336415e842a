"""The way of a WHEP request through the code, with the real actors: short, and without a step that is done twice."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType

import trio

from actors.webrtc.answer import write_answer
from actors.webrtc.offer import parse_offer
from supervisor.domain import commands as c
from supervisor.domain.catalogue import DECISIONS
from supervisor.domain.evolve import evolve
from supervisor.journal.writer import Journal
from supervisor.services.detections import Detections
from supervisor.services.gateway import Gateway
from supervisor.services.leases import Leases
from tests.kit.core import MemoryReader
from tests.kit.domain import GATE
from tests.kit.http import request
from tests.kit.world import World, open_world, streams
from web.app import WebSettings, create_app
from web.resources.whep import SDP, open_session
from web.serve import listen, run_web
from web.sockets import Sockets

ROOT = Path(__file__).parents[3]
OFFER = ROOT / "tests" / "kit" / "chromium.sdp"


@asynccontextmanager
async def open_web(world: World) -> AsyncIterator[int]:
    """The web layer over the actors of `world`; yields its port."""
    core, sockets = world.core, Sockets()
    leases, detections = Leases(core.kernel), Detections(core.kernel)
    gateway = Gateway(core.kernel, core.journal, core.feed, MemoryReader(core.disk), world.registry, leases, detections)
    listener = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(run_web, create_app(gateway, WebSettings(), sockets), sockets, listener, trio.Event())
        yield listener.getsockname()[1]
        nursery.cancel_scope.cancel()


LAYERS = ("actors", "supervisor", "web")
SHARED = ("supervisor/base/", "web/router.py", "web/loop_scheduler.py", "web/app.py")
"""Not counted: parts below all layers, and those that every request passes before its handler."""


async def test_offer_is_parsed_once_and_its_request_crosses_at_most_14_files() -> None:
    """Counted are the files on the call stack where the offer is parsed, decided, stored and answered."""
    steps = {parse_offer: 0, DECISIONS[c.OpenPeer]: 0, evolve: 0, Journal.append_nowait: 0, write_answer: 0}
    codes = {step.__code__: step for step in steps}
    files, handler = set[str](), open_session.__code__

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or frame.f_code not in codes:
            return
        stack, above = [frame], frame.f_back
        while above is not None:
            stack.append(above)
            above = above.f_back
        names = [str(Path(each.f_code.co_filename)) for each in stack]
        if handler in [each.f_code for each in stack] or codes[frame.f_code] is write_answer:
            steps[codes[frame.f_code]] += 1
            inside = [Path(name).relative_to(ROOT).as_posix() for name in names if name.startswith(f"{ROOT}/")]
            files.update(name for name in inside if name.startswith(LAYERS) and not name.startswith(SHARED))

    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        async with open_web(world) as port:
            sys.setprofile(watch)
            try:
                answer = await request(port, "POST", "/whep/gate", OFFER.read_text(), {"Content-Type": SDP})
            finally:
                sys.setprofile(None)
            assert answer.status == 201, answer.text
    assert (steps[parse_offer], min(steps.values())) == (1, 1)
    assert len(files) <= 14, sorted(files)
