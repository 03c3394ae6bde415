"""Fills a database with realistic data; the same seed gives the same data.

`World` sets the amount of data, `fill` writes it. Counters and copies are generated with their correct values: nothing
is counted afterwards, and the large collections are never held in memory.
"""

from datalayer.seeding.loading import Filled, Observer, fill
from datalayer.seeding.plan import Table, plan
from datalayer.seeding.world import World

__all__ = ["Filled", "Observer", "Table", "World", "fill", "plan"]
