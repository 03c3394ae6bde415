"""The README's code works as it stands."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
async def test_code_blocks_run(block: str) -> None:
    """Each in a process of its own, as somebody would who copies it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", block, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert output


def test_there_are_code_blocks() -> None:
    assert BLOCKS
