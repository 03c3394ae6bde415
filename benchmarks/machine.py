"""Describes the machine, without anything that identifies an individual machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from datalayer.server.program import find_mongod

_PACKAGES = ("pymongo", "beanie", "pydantic", "pydantic_core", "motor", "odmantic", "mongoengine")
_GIB = 1024**3


def described() -> str:
    """A table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    rows = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "mongod": f"{_mongod()}, a replica set of one, on the same machine, loopback",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _mongod() -> str:
    told = subprocess.run([find_mongod(), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return told.stdout.splitlines()[0].removeprefix("db version v")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
