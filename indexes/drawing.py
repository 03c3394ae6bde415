"""Draws an entity diagram as SVG.

The collections are arranged in columns. A line leads from each reference field to the `_id` of the collection that it
refers to. Lines to the same collection are merged into one line with a branch for each field. Lines to the hub, the
collection that most fields refer to, run left of the columns and above them; the others run right of their column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from indexes.entities import Entity, Field

WIDTH = 252
HEADER = 28
ROW = 19
PADDING = 7
GAP = 30
"""The vertical distance between two collections."""

LANE = 13
"""The distance between two parallel lines."""

MARGIN = 26
TOP = 92
CORNER = 7
STEM = 16
"""The length of the straight part of a line at a field."""

LEGEND = 58
"""The height of the legend at the bottom."""

INK = "#1f2430"
PAPER = "#fcfcfd"
FONT = "font-family=\"'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif\""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """A group of related collections, and their colour."""

    name: str
    colour: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The arrangement of the collections.

    Attributes:
        hub: The collection that most fields refer to, at the top of the first column.
    """

    title: str
    hub: str
    columns: tuple[tuple[str, ...], ...]
    families: tuple[Family, ...]

    def colour(self, name: str) -> str:
        """Return the colour of a collection."""
        return next(family.colour for family in self.families if name in family.members)

    def column(self, name: str) -> int:
        """Return the number of the column of a collection."""
        return next(number for number, names in enumerate(self.columns) if name in names)


@dataclass(frozen=True, slots=True)
class _Box:
    entity: Entity
    left: float
    top: float

    @property
    def height(self) -> float:
        return HEADER + ROW * len(self.entity.fields) + PADDING

    def row(self, number: int) -> float:
        """Return the vertical centre of a field."""
        return self.top + HEADER + PADDING / 2 + ROW * (number + 0.5)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line from a field to a collection.

    Attributes:
        lane: The x coordinate of its vertical part.
        side: The side of the field where it begins; 1 is the right side.
        above: The y coordinate at which it runs above the columns, if it does.
    """

    target: str
    start: Point
    end: Point
    lane: float
    side: int
    field: Field
    above: float | None = None


def draw(layout: Layout, entities: Sequence[Entity]) -> str:
    """Draw these collections, all of which the layout names."""
    boxes, width, height = _placed(layout, {entity.name: entity for entity in entities})
    lines = sorted(_lines(layout, boxes), key=lambda line: (line.target != layout.hub, line.target))
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {FONT}>',
        f"<title>{escape(layout.title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" rx="10" fill="{PAPER}"/>',
        *_legend(layout, height),
        *_paths(layout, lines),
        *(part for box in boxes.values() for part in _drawn(layout, box)),
        *(part for line in lines for part in _ends(line, layout.colour(line.target))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(layout: Layout, entities: Mapping[str, Entity]) -> tuple[dict[str, _Box], float, float]:
    boxes: dict[str, _Box] = {}
    left = bottom = 0.0
    for number, names in enumerate(layout.columns):
        left += MARGIN + STEM + LANE if number == 0 else _gutter(layout, entities, number - 1)
        top = float(TOP)
        for name in names:
            boxes[name] = _Box(entities[name], left, top)
            top += boxes[name].height + GAP
        left += WIDTH
        bottom = max(bottom, top - GAP)
    last = len(layout.columns) - 1
    return boxes, left + max(MARGIN, _gutter(layout, entities, last) - LANE), bottom + MARGIN + LEGEND


def _gutter(layout: Layout, entities: Mapping[str, Entity], column: int) -> float:
    """Return the space right of a column: for its own lanes, and the hub's lane of the next column."""
    return 2 * STEM + LANE * (len(_trunks(layout, entities, column)) + 1)


def _trunks(layout: Layout, entities: Mapping[str, Entity], column: int) -> list[str]:
    """Return the targets of the lines right of a column, from the innermost line to the outermost."""
    fields = [field for name in layout.columns[column] for field in entities[name].fields]
    targets = dict.fromkeys(target for field in fields for target in field.targets if target != layout.hub)
    # Lines to the next column are outside of the others. The lowest is innermost: it crosses the fewest branches.
    order = [name for names in layout.columns for name in reversed(names)]
    return sorted(targets, key=lambda target: (layout.column(target) != column, order.index(target)))


def _lines(layout: Layout, boxes: Mapping[str, _Box]) -> Iterator[_Line]:
    entities = {name: box.entity for name, box in boxes.items()}
    for name, box in boxes.items():
        column = layout.column(name)
        trunks = _trunks(layout, entities, column)
        for number, field in enumerate(box.entity.fields):
            others = [target for target in field.targets if target != layout.hub]
            for target in field.targets:
                to, y = boxes[target], box.row(number)
                if target == layout.hub:
                    above = None if column == 0 else TOP - LANE - 4.0
                    lane, end = box.left - STEM - LANE / 2, (to.left, to.row(0))
                    yield _Line(target, (box.left, y), end, lane, -1, field, above)
                    continue
                # A separate branch for each collection that the field may refer to.
                y += 6 * (others.index(target) - (len(others) - 1) / 2)
                lane = box.left + WIDTH + STEM + LANE * trunks.index(target)
                right = to.left + WIDTH if to.left == box.left else to.left
                yield _Line(target, (box.left + WIDTH, y), (right, to.row(0)), lane, 1, field)


def _paths(layout: Layout, lines: Sequence[_Line]) -> Iterator[str]:
    for target in dict.fromkeys(line.target for line in lines):
        path = "".join(_path(line) for line in lines if line.target == target)
        # The light outline shows which line is on top at a crossing.
        yield f'<path d="{path}" fill="none" stroke="{PAPER}" stroke-width="5"/>'
        yield f'<path d="{path}" fill="none" stroke="{layout.colour(target)}" stroke-width="1.6"/>'


def _path(line: _Line) -> str:
    points: list[Point] = [line.start, (line.lane, line.start[1])]
    if line.above is None:
        points += [(line.lane, line.end[1]), line.end]
    else:
        first = line.end[0] - STEM - LANE / 2
        points += [(line.lane, line.above), (first, line.above), (first, line.end[1]), line.end]
    return _rounded(points)


def _rounded(points: Sequence[Point]) -> str:
    """Return the path through the points, with rounded corners."""
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{near[0]:g} {near[1]:g}Q{corner[0]:g} {corner[1]:g} {far[0]:g} {far[1]:g}")
    return "".join([*parts, f"L{points[-1][0]:g} {points[-1][1]:g}"])


def _towards(corner: Point, other: Point) -> Point:
    """Return a point near the corner, in the direction of the other point, along an axis."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(CORNER, length / 2) / length if length else 0
    return corner[0] + dx * share, corner[1] + dy * share


def _ends(line: _Line, colour: str) -> Iterator[str]:
    """Draw the ends of a line: the cardinality at the field, an arrow at the target."""
    yield from _foot(line.start, line.side, colour, unique=line.field.unique, optional=line.field.optional)
    x, y = line.end
    from_right = line.side == 1 and x < line.lane
    yield f'<path d="M{x:g} {y:g}l{7 if from_right else -7} -4v8z" fill="{colour}"/>'


def _foot(at: Point, side: int, colour: str, *, unique: bool, optional: bool) -> Iterator[str]:
    """Draw a crow's foot if many documents may hold one id, else a bar; and a ring if the field is optional."""
    (x, y), style = at, f'fill="none" stroke="{colour}" stroke-width="1.6"'
    if unique:
        yield f'<path d="M{x + side * 6:g} {y - 5:g}v10" {style}/>'
    else:
        yield f'<path d="M{x:g} {y - 4.5:g}L{x + side * 9:g} {y:g}L{x:g} {y + 4.5:g}" {style}/>'
    if optional:
        yield (
            f'<circle cx="{x + side * 11.5:g}" cy="{y:g}" r="2.7" fill="{PAPER}" stroke="{colour}" stroke-width="1.4"/>'
        )


def _drawn(layout: Layout, box: _Box) -> Iterator[str]:
    colour, left, top = layout.colour(box.entity.name), box.left, box.top
    yield (
        f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{box.height:g}" rx="6" fill="#fff" '
        f'stroke="{colour}" stroke-width="1.3"/>'
    )
    head = f"M{left:g} {top + HEADER:g}v{6 - HEADER}q0 -6 6 -6h{WIDTH - 12}q6 0 6 6v{HEADER - 6}z"
    yield f'<path d="{head}" fill="{colour}"/>'
    yield (
        f'<text x="{left + 11:g}" y="{top + 19:g}" font-size="14" font-weight="600" fill="#fff">'
        f"{escape(box.entity.name)}</text>"
    )
    for number, field in enumerate(box.entity.fields):
        yield from _row(layout, field, left, box.row(number) + 4.2)


def _row(layout: Layout, field: Field, left: float, y: float) -> Iterator[str]:
    is_key = field.name == "_id"
    weight = ' font-weight="600"' if is_key or field.targets else ""
    mark = "?" if field.optional else ""
    yield (
        f'<text x="{left + 11:g}" y="{y:g}" font-size="12.5" fill="{INK}"{weight}>{escape(field.name)}'
        f'<tspan fill="#9aa1b0" font-weight="400">{mark}</tspan></text>'
    )
    kind = "key" if is_key else f"{field.kind}, unique" if field.unique else field.kind
    fill = layout.colour(field.targets[0]) if field.targets else "#7b8394"
    yield (
        f'<text x="{left + WIDTH - 11:g}" y="{y:g}" font-size="11.5" fill="{fill}" text-anchor="end">'
        f"{escape(kind)}</text>"
    )


def _legend(layout: Layout, height: float) -> Iterator[str]:
    """Draw the families at the top, and the legend at the bottom."""
    x, y = float(MARGIN), 33.0
    yield f'<text x="{x:g}" y="{y:g}" font-size="18" font-weight="600" fill="{INK}">{escape(layout.title)}</text>'
    for family in layout.families:
        yield f'<rect x="{x:g}" y="{y + 15:g}" width="11" height="11" rx="2.5" fill="{family.colour}"/>'
        yield f'<text x="{x + 17:g}" y="{y + 25:g}" font-size="12.5" fill="{INK}">{escape(family.name)}</text>'
        x += 36 + 7.2 * len(family.name)
    x, y = float(MARGIN), height - 40
    for text, unique, optional in _SIGNS:
        yield f'<path d="M{x:g} {y - 4:g}h26" stroke="{INK}" stroke-width="1.6"/>'
        yield from _foot((x, y - 4), 1, INK, unique=unique, optional=optional)
        yield f'<text x="{x + 34:g}" y="{y:g}" font-size="12" fill="{INK}">{text}</text>'
        x += 56 + 6.8 * len(text)
    bold = "In bold: fields that hold ids. With a question mark: optional fields."
    yield f'<text x="{MARGIN}" y="{y + 20:g}" font-size="12" fill="{INK}">{bold}</text>'


_SIGNS = (
    ("many documents may hold one id", False, False),
    ("one may", True, False),
    ("the field may be absent", False, True),
)
