"""`python -m benchmarks`: runs all benchmarks, or the parts that are named, and updates `docs/performance.md`."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping

from benchmarks import contention, growth, likes, profiles, reads, report

PARTS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "reads": lambda _: report.write_reads(asyncio.run(reads.measure())),
    "likes": lambda _: report.write_likes(asyncio.run(likes.measure())),
    "contention": lambda options: _contention(contention.chosen(options)),
    "growth": lambda _: report.write_growth(asyncio.run(growth.measure())),
    "profiles": lambda _: report.write_profiles(asyncio.run(profiles.measure())),
}


def _contention(choice: contention.Choice) -> None:
    results = asyncio.run(contention.measure(choice))
    if choice.is_whole:
        report.write_contention(results)


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or all of them if no name is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    contention.add_options(parser)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        sys.exit(f"Unknown part {unknown[0]}; the parts are {', '.join(PARTS)}.")
    for name in options.parts or PARTS:
        print(f"{name}:", flush=True)
        PARTS[name](options)
    if options.parts != ["contention"] or contention.chosen(options).is_whole:
        report.write_machine()


if __name__ == "__main__":
    main(sys.argv[1:])
