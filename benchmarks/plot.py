"""Draws two kinds of plots as SVG. The output is deterministic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_COLORS = ("#111111", "#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_SHAPES = ("circle", "square")
_GREY = "#d5d5d5"
_ROW, _LEGEND = 24, 20


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the position of the value."""
        part = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return 1, 2 and 5 times each power of ten; without 2 and 5 if there would be too many."""
        steps = (1, 2, 5) if self.high / self.low < 200 else (1,)  # noqa: PLR2004
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


def dots(title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Draw a row for each key, with a dot for each series, on a logarithmic scale, and a line at 1."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    values = [value for row in rows.values() for value in row.values()]
    top, left, width = 64, 190, 980
    bottom = top + _ROW * len(rows)
    axis = Axis(min(0.5, *values), max(values) * 1.1, left, width - 20)
    parts = [_text(width / 2, 22, title, anchor="middle", size=15)]
    parts += [_legend(30 + 138 * number, 46, name, number) for number, name in enumerate(names)]
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(_line(x, top, x, bottom, "#777777" if tick == 1 else _GREY))
        parts.append(_text(x, bottom + 16, f"{tick:g}", anchor="middle"))
    for place, (label, row) in enumerate(rows.items()):
        y = top + _ROW * place + _ROW / 2
        parts.append(_text(left - 10, y + 4, label, anchor="end"))
        parts.append(_line(left, y, width - 20, y, "#eeeeee"))
        parts += [_dot(axis.at(value), y, names.index(name)) for name, value in row.items()]
    parts.append(_text((left + width) / 2, bottom + 36, unit, anchor="middle"))
    return _svg(width, bottom + 48, parts)


@dataclass(frozen=True, slots=True)
class Panel:
    """Several series over the same values of x, by name."""

    title: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float]]


def lines(title: str, panels: Sequence[Panel], x_label: str) -> str:
    """Draw panels side by side, with logarithmic axes."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    wide, high, top = 420, 300, 76
    parts = [_text(wide * len(panels) / 2, 22, title, anchor="middle", size=15)]
    for number, panel in enumerate(panels):
        parts += _panel(panel, names, (wide * number + 60, wide * (number + 1) - 45), (top + high, top))
    bottom = top + high + 40
    parts.append(_text(wide * len(panels) / 2, bottom, x_label, anchor="middle"))
    each = 4
    for number, name in enumerate(names):
        parts.append(_legend(60 + 200 * (number % each), bottom + _LEGEND * (1 + number // each) + 4, name, number))
    return _svg(wide * len(panels), bottom + _LEGEND * (len(names) // each + 2), parts)


def _panel(panel: Panel, names: Sequence[str], across: tuple[float, float], up: tuple[float, float]) -> list[str]:
    values = [value for series in panel.series.values() for value in series]
    x, y = Axis(min(panel.x), max(panel.x), *across), Axis(min(values) / 1.5, max(values) * 1.5, *up)
    parts = [_text(sum(across) / 2, up[1] - 14, panel.title, anchor="middle", size=13)]
    for tick in y.ticks():
        parts.append(_line(across[0], y.at(tick), across[1], y.at(tick), _GREY))
        parts.append(_text(across[0] - 8, y.at(tick) + 4, f"{tick:,g}", anchor="end"))
    for tick in panel.x:
        parts.append(_line(x.at(tick), up[0], x.at(tick), up[1], _GREY))
        parts.append(_text(x.at(tick), up[0] + 16, f"{tick:,.0f}", anchor="middle"))
    for name, series in panel.series.items():
        number = names.index(name)
        points = [(x.at(one), y.at(other)) for one, other in zip(panel.x, series, strict=True)]
        path = " ".join(f"{one:.1f},{other:.1f}" for one, other in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_color(number)}" stroke-width="2"/>')
        parts += [_dot(one, other, number) for one, other in points]
    return parts


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _dot(x: float, y: float, number: int) -> str:
    if _SHAPES[number % len(_SHAPES)] == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{_color(number)}" fill-opacity="0.85"/>'
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{_color(number)}" fill-opacity="0.85"/>'


def _legend(x: float, y: float, name: str, number: int) -> str:
    return _dot(x, y - 4, number) + _text(x + 10, y, name)


def _line(x: float, y: float, to_x: float, to_y: float, color: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{color}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="sans-serif">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])
