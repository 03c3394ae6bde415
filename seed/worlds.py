"""The worlds of `worlds.toml`."""

import tomllib
from pathlib import Path
from typing import Any

from datalayer.seeding import World

_FILE = Path(__file__).with_name("worlds.toml")
_WORLDS: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))

NAMES = tuple(name for name, numbers in _WORLDS.items() if isinstance(numbers, dict))


def world(name: str, seed: int) -> World:
    """Return the world of this name, with this random seed."""
    return World(name=name, seed=seed, now=_WORLDS["now"], **_WORLDS[name])
