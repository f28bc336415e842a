"""Requests to the live HLS stream of a camera."""

import attrs


@attrs.frozen
class HlsPlaylist:
    """The playlist; with `number`, once it has that segment or, with `part`, that part of it."""

    number: int | None = None
    part: int | None = None


@attrs.frozen
class HlsMedia:
    """A segment, or one part of it."""

    number: int
    part: int | None = None


@attrs.frozen
class HlsInitialization:
    """The beginning that segments need."""

    number: int


HlsRequest = HlsPlaylist | HlsMedia | HlsInitialization
