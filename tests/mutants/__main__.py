"""`python -m tests.mutants`: the command."""

import argparse
import asyncio
import random
import signal
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

from tests.mutants.changes import Mutant, is_valid, mutants, python_files
from tests.mutants.record import Record
from tests.mutants.trials import Copy, copied

ROOT = Path(__file__).parent.parent.parent
RECORD = ROOT / ".data" / "mutants.json"

# They build wheels and sites, and call the library in processes of their own only.
LEFT_OUT = {"documentation", "mutants", "packaging"}


def main() -> None:
    """Draw a sample of mutants, and try each."""
    options = _options()
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(asyncio.run(_main(options)))
    sys.exit("Interrupted.")


async def _main(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with ExitStack() as stack:
        copies = [stack.enter_context(copied(ROOT)) for _ in range(options.jobs)]
        if options.record or not RECORD.exists():
            print("Recording which functions each test calls: this takes longer than the suite.", flush=True)
            await copies[0].record(_suite(copies[0].root), options.jobs, RECORD)
        # Of the copy: the working tree may change meanwhile.
        sample = _sample(copies[0].root, options.places, options.seed, options.sample)
        lived = await _try(sample, copies, Record.load(RECORD), options.seconds)
    print(f"\n{len(sample)} mutants: {len(sample) - len(lived)} were killed, {len(lived)} lived.")
    for mutant in sorted(lived):
        print(f"  {mutant}")
    return 1 if lived else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("places", nargs="*", default=["datalayer"], help="a folder, a module, or path:line")
    parser.add_argument("--sample", type=int, default=20, help="how many mutants; 0 is all  [default: 20]")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same sample  [default: 1]")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants at a time  [default: 1]")
    parser.add_argument("--seconds", type=float, default=120, help="of tests for a mutant at most  [default: 120]")
    parser.add_argument("--record", action="store_true", help="record again which functions each test calls")
    return parser.parse_args()


def _suite(root: Path) -> list[str]:
    """The folders with tests that are recorded."""
    folders = {file.parent for file in (root / "tests").rglob("test_*.py") if file.parent.name not in LEFT_OUT}
    return sorted(str(folder.relative_to(root)) for folder in folders)


def _sample(root: Path, places: Sequence[str], seed: int, size: int) -> list[Mutant]:
    """Draw lines, and one mutant of each: else those lines would be drawn most that have the most mutants."""
    lines: defaultdict[tuple[Path, int], list[Mutant]] = defaultdict(list)
    for place in places:
        path, _, line = place.partition(":")
        for file in python_files(root, [Path(path)]):
            for mutant in mutants(root, file):
                if not line or mutant.line == int(line):
                    lines[file, mutant.line].append(mutant)
    draw = random.Random(seed)  # noqa: S311
    if size == 0:
        return [mutant for line in lines.values() for mutant in line if is_valid(root, mutant)]
    order = draw.sample(sorted(lines), len(lines))
    drawn = (draw.choice(lines[line]) for line in order)
    return [
        mutant for mutant, _ in zip(filter(lambda mutant: is_valid(root, mutant), drawn), range(size), strict=False)
    ]


async def _try(sample: Sequence[Mutant], copies: Sequence[Copy], record: Record, seconds: float) -> list[Mutant]:
    """Try the mutants, one at a time in each copy; those that lived."""
    left, lived, done = iter(sample), list[Mutant](), count(1)

    async def work(copy: Copy) -> None:
        for mutant in left:
            verdict = await copy.trial(mutant, record, seconds)
            print(f"{next(done)}/{len(sample)}  {mutant}\n    {verdict}", flush=True)
            if verdict.killer is None:
                lived.append(mutant)

    async with asyncio.TaskGroup() as tasks:
        for copy in copies:
            tasks.create_task(work(copy))
    return lived


if __name__ == "__main__":
    main()
