"""Keeps the complete sources, with secrets, and makes the settings without secrets that may be stored."""

from collections.abc import Collection, Mapping

from ..config.config import Daemon, Detector, Source
from ..domain.events import Recorded
from ..domain.ids import CameraId
from ..domain.values import CameraSettings


class Vault:
    """The sources of all cameras, in memory only. The daemon fills it; the actors read it."""

    def __init__(self) -> None:
        self._sources: dict[CameraId, Source] = {}
        self._revisions: dict[CameraId, int] = {}
        self._detectors: Mapping[str, Detector] = {}
        self._daemons: Mapping[str, Daemon] = {}
        self._configured: Recorded | None = None

    def __getitem__(self, camera: CameraId) -> Source:
        return self._sources[camera]

    def find(self, camera: CameraId) -> Source | None:
        """The source of `camera`; None if it has been removed."""
        return self._sources.get(camera)

    def detectors(self) -> Mapping[str, Detector]:
        """The detectors that banken runs, calls or reads, by name."""
        return self._detectors

    def take_detectors(self, detectors: Mapping[str, Detector]) -> None:
        self._detectors = detectors

    def daemons(self) -> Mapping[str, Daemon]:
        """The programs that banken runs beside its cameras, by name."""
        return self._daemons

    def configured(self) -> Recorded | None:
        """The event of the configuration that names them."""
        return self._configured

    def take_daemons(self, daemons: Mapping[str, Daemon], configured: Recorded | None = None) -> None:
        self._daemons, self._configured = daemons, configured

    def all(self) -> Collection[Source]:
        return self._sources.values()

    def settings_of(self, sources: Mapping[CameraId, Source]) -> tuple[CameraSettings, ...]:
        """The settings of `sources`, without secrets, for the journal. May run in a thread, but not during `take`.

        A source in which only a hidden part changed, such as a password, gets a new revision, so that it is a change.
        """
        return tuple(
            CameraSettings(
                camera=camera,
                source=source.summary(self._revision(camera, source)),
                device=source.device,
                mode=source.mode,
                group=source.group,
                substream=source.substream,
                transcode=source.transcode,
                privacy=source.privacy,
                record=source.record,
            )
            for camera, source in sources.items()
        )

    def take(
        self, sources: Mapping[CameraId, Source], settings: tuple[CameraSettings, ...] | None = None
    ) -> tuple[CameraSettings, ...]:
        """Replace all sources; return the settings, which may be journaled.

        Args:
            settings: the result of `settings_of(sources)`, if known: computing it takes 0.1 ms for each camera.
        """
        settings = self.settings_of(sources) if settings is None else settings
        self._revisions |= {known.camera: known.source.revision for known in settings}
        self._sources = dict(sources)
        return settings

    def _revision(self, camera: CameraId, source: Source) -> int:
        before, revision = self._sources.get(camera), self._revisions.get(camera, 0)
        changed = before is not None and before.summary() == source.summary() and _hidden(before) != _hidden(source)
        return revision + changed


def _hidden(source: Source) -> tuple[object, ...]:
    """The parts that a summary hides or leaves out, and that only a new connection takes over."""
    there = source.address, source.arguments, source.via, source.pin
    return *there, source.auth, source.transport, source.audio, dict(source.env)
