"""Filling a database with a believable world, the same one for the same seed.

`World` says how much there is of everything; `fill` writes it. Counters and copies are true as they are generated:
nothing is counted afterwards, and nothing of the large tables is held in memory.
"""

from datalayer.seeding.loading import Filled, Observer, fill
from datalayer.seeding.plan import Table, plan
from datalayer.seeding.world import World

__all__ = ["Filled", "Observer", "Table", "World", "fill", "plan"]
