"""The files of this folder, and the documentation of the schema."""

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

One file for each collection: its validator, its indexes with their keys in order, and its shard key. Each index says
which repository methods it serves; "original schema" stands where the original has it and no query here needs it.

The files are written from the documents by `python -m indexes write`, and a test holds them against the code: so a
change of the schema is seen in a review. To deploy it, without starting an application:

```sh
python -m indexes plan --uri ...     # what would be done, in which order, and what stands in the way
python -m indexes apply --uri ...    # does it; --drop also replaces, hides and drops indexes
python -m indexes check --uri ...    # exits with 1 on any drift
```

Where the library is installed, `datalayer schema plan`, `apply` and `check` are the same. Their exit codes are in
[the guide to production](../docs/how-to/production.md#deploy-the-schema-then-the-code).

- New indexes are built before old ones go. MongoDB cannot rename or change an index: the old one is dropped, and the
  new one is built then. A unique one is guarded meanwhile by a second unique index on the same keys, so there is no
  moment without the constraint. Guards are always built, also where one seems to be there, and have to be complete
  before anything is dropped. Queries that need the index wait for the build: where that matters, declare a changed
  index under a new name.
- An index that is still being built does not count as there: `apply` waits for it, and `check` reports it.
- Before a unique index is built, duplicates are looked for, and listed. A validator is set only when every document
  passes.
- What nobody declares is hidden by the first `apply --drop`, and dropped by the next one.
- `apply` can be interrupted and run again, and two at once take turns.
- A release that runs can restart after the `apply` of the next one, as long as the live schema allows everything that
  its own declares: [Deploying a schema](../docs/scaling.md#deploying-a-schema).
"""


def files() -> dict[Path, str]:
    """What the files should say."""
    served = serves()
    written = {FOLDER / "README.md": _readme(served)}
    for product in PRODUCTS:
        for document in product.documents:
            name = document.Settings.name
            written[FOLDER / f"{name}.json"] = manifest(document, served.get(name, {}))
    return written | render()


def write() -> list[Path]:
    """Write the files that are not as they should be, remove those that should not be; the paths of both."""
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
