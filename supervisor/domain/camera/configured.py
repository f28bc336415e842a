"""Cameras: added, changed and removed by the configuration."""

from msgspec.structs import replace

from ..common import Arms, Changes
from ..core import Recorded, Severity
from ..lifecycle import CameraPhase, leads
from ..state import Camera, State
from ..values import CameraSettings
from .common import CONFIGURED, CameraEvent, move_camera


class CameraAdded(CameraEvent, frozen=True):
    """The configuration has a new camera. It is idle until it is opened."""

    settings: CameraSettings
    """Source, device, mode, group and substream, as far as they may be stored."""

    begins = CameraPhase.IDLE
    severity = Severity.INFO
    emitters = ("Configure",)
    causes = ("ConfigurationApplied",)
    when = "directly after the `ConfigurationApplied` that names it"
    stored = "as its `ConfigurationApplied`"

    def sentence(self) -> str:
        return f"{self.camera} added: {self.settings.source.url}"


class CameraChanged(CameraEvent, frozen=True):
    """A camera has new settings. Its failures and crashes so far no longer count. Its peers stay."""

    settings: CameraSettings
    """All of the new settings, not only the difference."""
    changed: tuple[str, ...] = ()
    """Names of the settings that differ; empty in older journals."""

    steps = leads(*CONFIGURED)
    severity = Severity.INFO
    emitters = ("Configure",)
    causes = ("ConfigurationApplied",)
    when = "as `CameraAdded`, if any setting differs; a changed password differs in `revision`"
    stored = "as its `ConfigurationApplied`"

    def sentence(self) -> str:
        names = f" ({', '.join(self.changed)})" if self.changed else ""
        address = f": {self.settings.source.url}" if "source" in self.changed or not self.changed else ""
        return f"{self.camera} has new settings{names}{address}"


class CameraRemoved(CameraEvent, frozen=True):
    """The configuration no longer names the camera. Its source and its peers are ended."""

    steps = leads(*CONFIGURED, to=CameraPhase.REMOVED)
    severity = Severity.INFO
    emitters = ("Configure",)
    causes = ("ConfigurationApplied",)
    when = "directly after its `ConfigurationApplied`; events of its child and its slot may follow"
    stored = "as its `ConfigurationApplied`"

    def sentence(self) -> str:
        return f"{self.camera} removed"


def _camera_added(state: State, event: CameraAdded, at: Recorded) -> Changes:
    camera = Camera(event.settings, CameraPhase.IDLE, since_ns=at.wall_ns)
    return {"cameras": state.cameras.insert(event.camera, camera)}


def _camera_changed(state: State, event: CameraChanged, at: Recorded) -> Changes:
    """New settings are tried at once, as for a new camera."""
    before = state.cameras[event.camera]
    forgotten = replace(
        before,
        attempts=0,
        crashes_ns=(),
        quarantines=0,
        failed="",
        failures=0,
        probe_s=0.0,
        live_until_ns=0,
        transport="",
    )
    return move_camera(state, event, at, replace(forgotten, settings=event.settings))


ARMS: Arms = {
    CameraAdded: _camera_added,
    CameraChanged: _camera_changed,
    CameraRemoved: move_camera,
}
