"""The Makefile: what its commands say before they begin."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()

ALONE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
"""The environment without what a `make` that runs the tests leaves there."""


def test_make_alone_lists_every_command() -> None:
    """Each with a description, and without a set-up."""
    command = ["make", "-C", str(ROOT), "--no-print-directory"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ALONE)  # noqa: S603
    listed = re.findall(r"^  make (\S+) +\w+ ", done.stdout, re.MULTILINE)
    (declared,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(listed) == sorted(declared.split())
    assert done.stderr == ""


def test_no_command_prints_its_recipe() -> None:
    """A line of shell looks like an error; what is printed is what the command does."""
    text = MAKEFILE.replace("\\\n", "")
    recipes = re.findall(r"^\t(.*)$", text, re.MULTILINE)
    assert recipes
    assert [line for line in recipes if not line.startswith(("@", "$(call run,"))] == []


def test_a_command_says_what_it_does_and_how_long_it_took(tmp_path: Path) -> None:
    """And it fails where its program does."""
    (run,) = re.findall(r"^run = .*$", MAKEFILE, re.MULTILINE)
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"{run}\n\nwork:\n\t$(call run,Working,echo done; false)\n")
    done = subprocess.run(["make", "-f", str(makefile)], capture_output=True, text=True, check=False, env=ALONE)  # noqa: S603, S607
    assert re.fullmatch(r"==> Working\ndone\n    \d+ s\n", done.stdout)
    assert done.returncode == 2
