"""Writes the results into `docs/performance.md`, only between its markers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import contention, growth, hot, likes, machine, profiles, reads
from benchmarks.crowd import Shape
from benchmarks.pairs import Measured
from benchmarks.plot import Panel, dots, lines

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
PYMONGO, OURS, *_ = reads.LIBRARIES

# The highest acceptable time as a multiple of the baseline, by the number of tasks.
_READ_TARGETS: dict[tuple[str, int], float] = {
    ("get by id", 1): 1.15,
    ("get by id", 32): 1.15,
    ("feed page of 20", 1): 1.15,
    ("feed page of 20", 32): 1.25,
    ("list of 1,000", 1): 1.4,
    ("list of 1,000", 32): 1.5,
    ("create one", 1): 1.15,
    ("create one", 32): 1.15,
    (reads.BULK_NAME, 1): 1.2,
}
_LIKE_TARGETS: dict[tuple[int, str], float] = {
    (1, likes.BY_HAND): 1.1,
    (likes.TASKS, likes.BY_HAND): 0.05,
    (likes.TASKS, likes.UNGUARDED): 0.4,
}
_CONTENTION_TARGETS: dict[Shape, float] = {
    Shape(1, 8): 3,
    Shape(1, 32): 8,
    Shape(1, 128): 8,
    Shape(4, 8): 4,
    Shape(8, 1): 0.8,
}
_P99_TARGETS = {Shape(4, 8): 20, Shape(8, 1): 40}
_WAIT_TARGET, _RENAMING_TARGET = 2, 0.5
_LINES = [shape for shape in contention.SHAPES if shape.tasks > 1]
"""The shapes in which the calls of one process form a line."""


def write_machine() -> None:
    """Write the description of the machine."""
    _replace("machine", machine.described())


def write_reads(results: reads.Results) -> None:
    """Write the targets, the table of the libraries and its plot."""
    rows = [
        [name, str(tasks), _milliseconds(found[PYMONGO]), _milliseconds(found[OURS]), *_judged(found[OURS], target)]
        for (name, tasks), found in results.items()
        for target in [_READ_TARGETS.get((name, tasks))]
    ]
    _replace("targets", _table(["work", "tasks", "pymongo, ms", "this library, ms", "ratio", "target", ""], rows))
    libraries = [[name, str(tasks), *_ratios(found)] for (name, tasks), found in results.items()]
    _replace("libraries", _table(["work", "tasks", *reads.LIBRARIES], libraries))
    shown = {
        f"{name}, {tasks} task{'s' * (tasks > 1)}": {library: found[library].ratio for library in reads.LIBRARIES}
        for (name, tasks), found in results.items()
    }
    plot = dots("Time of the same work", shown, "multiple of pymongo's async API with plain dicts (logarithmic)")
    (DOCS / "performance-libraries.svg").write_text(plot, "utf-8")


def write_likes(results: likes.Results) -> None:
    """Write the table of the likes and their targets."""
    rows = [
        [
            *(str(tasks), name, _milliseconds(found[name]), _milliseconds(found[likes.OURS])),
            *_judged(found[likes.OURS], _LIKE_TARGETS.get((tasks, name)), digits=3),
        ]
        for tasks, pairs in results.items()
        for name, found in pairs.items()
    ]
    _replace("likes", _table(["tasks", "compared with", "its ms", "this library, ms", "ratio", "target", ""], rows))


def write_contention(results: contention.Results) -> None:
    """Write the tables of throughput and call times, the list below them, and the plot."""
    rows = {name: found for name, found in results.rows.items() if name != hot.RENAMING}
    heads = [str(shape) for shape in contention.SHAPES]
    throughput = [
        [
            *(name, f"{found[contention.LONE].each_second:,.0f}"),
            *(_at_least(found[shape].ratio, _target(name, shape)) for shape in contention.SHAPES),
            f"{sum(sum(measured.failures.values()) for measured in found.values()):,}",
        ]
        for name, found in rows.items()
    ]
    times = [
        [
            name,
            *(
                f"{found[shape].p50:.1f}, {_at_most(found[shape].p99, _P99_TARGETS.get(shape))}"
                for shape in contention.SHAPES
            ),
        ]
        for name, found in rows.items()
    ]
    lines_ = [f"- Left out: {name}. {why}." for name, why in results.left_out.items()]
    composed = rows[hot.COMPOSED]
    waits = [f"{_at_most(composed[shape].wait, _WAIT_TARGET)} ({shape})" for shape in _LINES]
    lines_.append(f"- Longest wait of a {hot.COMPOSED} call, as a multiple of its line: {', '.join(waits)}.")
    renaming = results.rows[hot.RENAMING][contention.WRITERS]
    lines_.append(
        f"- Writing as a user who is being renamed: {_at_least(renaming.ratio, _RENAMING_TARGET)} of the throughput "
        f"without it; {sum(renaming.failures.values()):,} of {renaming.calls:,} failed, {renaming.beside} renamings."
    )
    tables = [
        _table(["work", "1x1, each second", *heads, "failed"], throughput),
        _table(["p50, p99", *heads], times),
    ]
    _replace("contention", "\n\n".join([*tables, "\n".join(lines_)]))
    # A logarithm has no zero.
    ratios = {
        name: {str(shape): max(found[shape].ratio, 0.01) for shape in contention.SHAPES} for name, found in rows.items()
    }
    plot = dots("Everybody does the same to one document", ratios, "multiple of one task's throughput (logarithmic)")
    (DOCS / "performance-contention.svg").write_text(plot, "utf-8")


def write_growth(results: growth.Results) -> None:
    """Write the table and the plot of growth."""
    sizes, calls = list(results), next(iter(results.values())).costs
    heads = [f"{size:,} posts" for size in sizes]
    held = ("users", "posts", "comments", "likes", "messages", "points")
    rows = [[name, *(f"{grown.rows[name]:,}" for grown in results.values())] for name in held]
    rows.append(["seconds to write it all", *(f"{grown.seconds:.0f}" for grown in results.values())])
    rows.append(["the deep page", *(f"{grown.depth:,}" for grown in results.values())])
    costs = [
        [name, *(f"{grown.costs[name].milliseconds:.2f} ms, {grown.costs[name].keys:,}" for grown in results.values())]
        for name in calls
    ]
    _replace("growth", f"{_table(['', *heads], rows)}\n\n{_table(['time, keys examined', *heads], costs)}")
    times = {name: [grown.costs[name].milliseconds for grown in results.values()] for name in calls}
    keys = {name: [float(grown.costs[name].keys) for grown in results.values()] for name in calls}
    panels = [Panel("milliseconds, median", sizes, times), Panel("index keys examined", sizes, keys)]
    plot = lines("The same call in communities of three sizes", panels, "posts (both axes logarithmic)")
    (DOCS / "performance-growth.svg").write_text(plot, "utf-8")


def write_profiles(results: profiles.Results) -> None:
    """Write the profiles of the client."""
    texts: list[str] = []
    for work, profile in results.items():
        packages = ", ".join(f"{name} {share:.0%}" for name, share in profile.packages if share >= 0.01)  # noqa: PLR2004
        functions = [[f"{share:.1%}", f"`{name}`"] for name, share in profile.functions]
        texts.append(f"{work[0].upper()}{work[1:]}: {packages}.\n\n{_table(['share', 'function'], functions)}")
    _replace("profiles", "\n\n".join(texts))


def _judged(ours: Measured, target: float | None, *, digits: int = 2) -> list[str]:
    ratio = f"{ours.ratio:.{digits}f}"
    if target is None:
        return [ratio, "", ""]
    return [ratio, f"{target:g}", "met" if ours.ratio <= target else "**missed**"]


def _target(name: str, shape: Shape) -> float:
    if name == hot.COMPOSED:
        return 0.9 if shape.processes == 1 else 0.6
    return _CONTENTION_TARGETS[shape]


def _at_least(value: float, target: float) -> str:
    return f"{value:.2f}" if value >= target else f"**{value:.2f}**"


def _at_most(value: float, target: float | None) -> str:
    return f"{value:.1f}" if target is None or value <= target else f"**{value:.1f}**"


def _ratios(found: Mapping[str, Measured]) -> list[str]:
    return [f"{found[library].ratio:.2f}" for library in reads.LIBRARIES]


def _milliseconds(measured: Measured) -> str:
    return f"{measured.milliseconds:,.3f}" if measured.milliseconds < 10 else f"{measured.milliseconds:,.0f}"  # noqa: PLR2004


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines_ = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines_)


def _replace(name: str, text: str) -> None:
    """Replace the text between the markers of this name."""
    begin, end = f"<!-- {name}: written by `make bench` -->", f"<!-- end of {name} -->"
    page = PAGE.read_text("utf-8")
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise LookupError(f"{PAGE.name} has no markers for {name}")
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
