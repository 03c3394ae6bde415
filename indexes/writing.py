"""Writes the files of this folder, and the documentation of the schema."""

from collections.abc import Iterator
from pathlib import Path

from datalayer.documents import Document
from datalayer.engine.indexes import Index
from datalayer.schema.manifest import manifest
from datalayer.schema.serves import Serves
from indexes.diagram import render
from indexes.serves import PRODUCTS, serves

FOLDER = Path(__file__).parent

_INTRODUCTION = """\
# The physical schema

One file for each collection: its validator, its indexes with their keys in order, and its shard key. Each index lists
the repository methods that it serves; "original schema" marks indexes of the original that no query here needs.

`python -m indexes write` generates the files from the document classes, and a test compares them with the code. So
every change of the schema shows up in a review. To deploy the schema without starting an application:

```sh
python -m indexes plan --uri ...     # shows the steps in order, and what blocks them
python -m indexes apply --uri ...    # does them; --drop also replaces, hides and drops indexes
python -m indexes check --uri ...    # exits with 1 on any drift
```

With the library installed, `datalayer schema plan`, `apply` and `check` do the same. Their exit codes are in
[the guide to production](../docs/how-to/production.md#deploy-the-schema-then-the-code).

- New indexes are built before old ones are dropped. MongoDB cannot rename or change an index, so a changed index is
  dropped and then built again. Meanwhile a guard, a second unique index on the same keys, enforces a unique constraint
  at every moment. Guards are always built, even if one seems to exist, and must be complete before anything is dropped.
  Queries that need the index wait for the build. If that matters, declare a changed index under a new name.
- An index that is still being built counts as missing: `apply` waits for it, and `check` reports it.
- Before a unique index is built, `apply` searches for duplicates and lists them. It sets a validator only if every
  document passes.
- The first `apply --drop` hides undeclared indexes, the next one drops them.
- `apply` can be interrupted and run again. Concurrent runs take turns.
- After the `apply` of the next release, processes of the running release can still restart, as long as the live schema
  allows everything that their own schema declares: [Deploying a schema](../docs/scaling.md#deploying-a-schema).
"""


def files() -> dict[Path, str]:
    """Return the generated files with their contents."""
    served = serves()
    written = {FOLDER / "README.md": _readme(served)}
    for product in PRODUCTS:
        for document in product.documents:
            name = document.Settings.name
            written[FOLDER / f"{name}.json"] = manifest(document, served.get(name, {}))
    return written | render()


def write() -> list[Path]:
    """Write outdated files, and remove obsolete ones. Return the paths of both."""
    wanted = files()
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in changed:
        path.write_text(wanted[path])
    for path in FOLDER.glob("*.json"):
        if path not in wanted:
            path.unlink()
            changed.append(path)
    return changed


def _readme(served: dict[str, Serves]) -> str:
    lines = [_INTRODUCTION]
    for product in PRODUCTS:
        lines += [
            f"## {product.__name__}",
            "",
            "| collection | index | keys | options | serves |",
            "|---|---|---|---|---|",
        ]
        for document in product.documents:
            lines += _rows(document, served.get(document.Settings.name, {}))
        lines.append("")
    return "\n".join(lines)


def _rows(document: type[Document], served: Serves) -> Iterator[str]:
    name = document.Settings.name
    if not document.Settings.indexes:
        yield f"| {name} | | | | |"
    for index in document.Settings.indexes:
        methods = ", ".join(served.get(index.name, ())) or "original schema"
        yield f"| [{name}]({name}.json) | {index.name} | {_keys(index)} | {_options(index)} | {methods} |"


def _keys(index: Index) -> str:
    return ", ".join(name if direction == 1 else f"{name} ↓" for name, direction in index.keys)


def _options(index: Index) -> str:
    options = ["unique"] * index.unique + ["staged"] * index.staged
    if index.where is not None:
        options.append(f"where `{dict(index.where)}`")
    return ", ".join(options)
