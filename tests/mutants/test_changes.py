"""What is mutated, and what is left alone."""

from pathlib import Path

from tests.mutants.changes import is_valid, mutants

MODULE = '''
"""A docstring with 1 < 2."""

from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from x import y


class Table(Base, frozen=True):
    """One."""

    size: Annotated[int, Limit(1)] = 7

    def __repr__(self) -> str:
        return "a" if self.size > 3 else "b"

    @cached(size=4)
    async def one(self, id: "Literal[1]", *, deep: bool = False) -> list[5]:
        """Two."""
        await self.lock(id)
        if deep and id is not None:
            raise Missing(f"{id} > {2}", hint="x")
        async with self.snapshot():
            return await self.find({"a": {"$lt": -1}, **ALIVE}, {"_id": 0}, hint="by_a", limit=id + 1)
'''


def test_what_is_mutated(tmp_path: Path) -> None:
    """Docstrings, annotations, messages, decorators, `__repr__`, hints and the numbers of projections are not."""
    (tmp_path / "x.py").write_text(MODULE)
    assert [(mutant.function, mutant.before, mutant.after) for mutant in mutants(tmp_path, Path("x.py"))] == [
        ("", "7", "6"),
        ("", "7", "8"),
        ("", "False", "True"),
        ("Table.one", "await self.lock(id)", "pass"),
        ("Table.one", "and", "or"),
        ("Table.one", "is not", "is"),
        ("Table.one", 'raise Missing(f"{id} > {2}", hint="x")', "pass"),
        ("Table.one", "self.snapshot()", "__import__('contextlib').nullcontext()"),
        ("Table.one", '"a": {"$lt": -1}, ', ""),
        ("Table.one", '"$lt"', '"$lte"'),
        ("Table.one", '"$lt": -1', ""),
        ("Table.one", "-1", "(1)"),
        ("Table.one", ", **ALIVE", ""),
        ("Table.one", '"_id": 0', ""),
        ("Table.one", ", limit=id + 1", ""),
        ("Table.one", "+", "-"),
        ("Table.one", "1", "2"),
    ]


def test_each_mutant_is_one_change(tmp_path: Path) -> None:
    """Put in its place, it compiles; the rest of the module is as it was."""
    source = MODULE.encode()
    (tmp_path / "x.py").write_bytes(source)
    for mutant in mutants(tmp_path, Path("x.py")):
        changed = mutant.of(source)
        assert changed.startswith(source[: mutant.start])
        assert changed.endswith(source[mutant.end :])
        assert is_valid(tmp_path, mutant), mutant
