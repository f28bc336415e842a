"""Numbers, durations, sizes and lists as text; `base.times` has the times."""

from collections.abc import Sequence

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def plural(count: float, one: str, many: str = "") -> str:
    """`1 camera`, `2 cameras`, `0.5 days`; give `many` if an s is not enough: `plural(n, "is", "are")`."""
    written = f"{count:.12g}"
    return f"{written} {one if written == '1' else many or f'{one}s'}"


def seconds(value: float) -> str:
    """A duration as text: `0.3 s`, `12 s`, `4 min`, `2 h 10 min`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """A number of bytes as text, to one decimal: `1023 B`, `1.5 KiB`, `4 GiB`."""
    unit, *larger = UNITS
    while larger and count >= 1024:
        count, unit, larger = count / 1024, larger[0], larger[1:]
    return f"{count:.1f}".removesuffix(".0") + f" {unit}"


def complaints(lines: Sequence[str], more: int) -> str:
    """The complaints about a rejected configuration, in one line."""
    return "; ".join(lines) + (f"; {more} more" if more else "")
