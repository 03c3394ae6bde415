"""The files of this folder, and the documentation of the schema."""

from collections.abc import Iterator
from pathlib import Path

from datalayer.documents import Document
from datalayer.engine.indexes import Index
from datalayer.schema.manifest import Serves, manifest
from indexes.diagram import render
from indexes.serves import PRODUCTS, serves

FOLDER = Path(__file__).parent

_INTRODUCTION = """\
# The physical schema

Each collection has one file with its validator, its indexes with their keys in order, and its shard key. Each index
lists the repository methods that it serves; "original schema" marks indexes of the original that no query here needs.

`python -m indexes write` generates the files from the documents, and a test compares them with the code, so every
change of the schema appears in a review. To deploy the schema without starting an application:

```sh
python -m indexes plan --uri ...     # shows the steps in order, and what blocks them
python -m indexes apply --uri ...    # carries them out; --drop also replaces, hides and drops indexes
python -m indexes check --uri ...    # exits with 1 on any drift
```

Where the library is installed, `datalayer schema plan`, `apply` and `check` are the same commands. The
[production guide](../docs/how-to/production.md#deploy-the-schema-then-the-code) lists their exit codes.

- New indexes are built before old ones are dropped. MongoDB cannot rename or change an index, so a changed index is
  dropped and rebuilt. In the meantime, a second unique index on the same keys, the guard index, enforces the rule of a
  unique one. Guards are always built, even if one seems to exist, and must be complete before anything is dropped.
  Queries that need the index wait for the build; to avoid this, declare a changed index under a new name.
- An index that is still being built counts as missing: `apply` waits for it, and `check` reports it.
- Before a unique index is built, duplicates are searched and listed. A validator is set only if every document passes.
- Undeclared indexes are hidden by the first `apply --drop` and dropped by the next one.
- `apply` can be interrupted and run again. If two processes run it, one waits for the other.
- A running release can restart after the `apply` of the next release, as long as the live schema allows everything that
  the release declares: [Deploying a schema](../docs/scaling.md#deploying-a-schema).
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
            "| Collection | Index | Keys | Options | Serves |",
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
