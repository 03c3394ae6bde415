"""`python -m benchmarks`: measures everything and writes `docs/performance.md`; or the parts that are named."""

import asyncio
import sys
from collections.abc import Callable

from benchmarks import growth, likes, profiles, reads, report

PARTS: dict[str, Callable[[], None]] = {
    "reads": lambda: report.write_reads(asyncio.run(reads.measure())),
    "likes": lambda: report.write_likes(asyncio.run(likes.measure())),
    "growth": lambda: report.write_growth(asyncio.run(growth.measure())),
    "profiles": lambda: report.write_profiles(asyncio.run(profiles.measure())),
}


def main(names: list[str]) -> None:
    """Measure the parts of these names; all of them where there is none."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"There is no part {unknown[0]}; the parts are {', '.join(PARTS)}.")
    for name in names or PARTS:
        print(f"{name}:", flush=True)
        PARTS[name]()
    report.write_machine()


if __name__ == "__main__":
    main(sys.argv[1:])
