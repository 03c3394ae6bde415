"""`datalayer schema` on a terminal, where it shows bars."""

import re

from datalayer import Community, Stories
from tests.cli.conftest import Terminal, uri_of


def test_nothing_to_do_is_one_line(community: Community, stories: Stories, server_uri: str) -> None:
    """For each product, without an empty line before it."""
    assert community.database.name == stories.database.name
    with Terminal("schema", "apply", "--uri", uri_of(community, server_uri), TERM="xterm") as terminal:
        printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.rest())
        assert terminal.process.wait(10) == 0
    assert printed == f"{community.database.name}: as declared, nothing to do\n" * 2
