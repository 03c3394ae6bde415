"""`datalayer schema` on a terminal, where it shows bars."""

import re

from datalayer import Community
from tests.cli.conftest import Terminal, uri_of


def test_a_second_application_is_one_line(community: Community, server_uri: str) -> None:
    """Nothing to do is a sentence, without an empty line before it."""
    with Terminal("schema", "apply", "--uri", uri_of(community, server_uri), TERM="xterm") as terminal:
        printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.rest())
        assert terminal.process.wait(10) == 0
    assert printed == f"{community.database.name}: as declared, nothing to do\n" * 2
