"""The names and the addresses of what tests write to."""

import pytest

from datalayer import Community, Stories
from datalayer.documents import User
from datalayer.engine.clock import system_clock
from datalayer.errors import InvalidInputError
from datalayer.testing.isolation import IsolatedDatabase, _with_database
from tests.examples import full_wire


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("mongodb://localhost", "mongodb://localhost/mine"),
        ("mongodb://a:1,b:2/?replicaSet=rs0", "mongodb://a:1,b:2/mine?replicaSet=rs0"),
        ("mongodb+srv://host/theirs?w=1", "mongodb+srv://host/mine?w=1"),
        ("mongodb://me:pw@host/theirs?w=1", "mongodb://me:pw@host/mine?authSource=theirs&w=1"),
        ("mongodb://me:pw@host", "mongodb://me:pw@host/mine?authSource=admin"),
        ("mongodb://me:pw@host/theirs?authsource=ours", "mongodb://me:pw@host/mine?authsource=ours"),
    ],
)
def test_a_database_of_our_own_is_named_in_the_uri(server: str, expected: str) -> None:
    """And a user is still looked for where the URI had said so."""
    assert _with_database(server, "mine") == expected


def test_what_is_no_uri_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="mongodb://"):
        _with_database("localhost:27017", "mine")


def test_what_one_kind_left_is_gone_when_the_other_is_opened(request: pytest.FixtureRequest) -> None:
    """They are in one database; but what a test has open stays as the test has made it."""
    sandbox: IsolatedDatabase = request.getfixturevalue("_datalayer_sandbox")
    users = sandbox._database["users"]
    with sandbox.opened(Community, system_clock):
        users.insert_one(full_wire(User))
        with sandbox.opened(Stories, system_clock):
            assert users.count_documents({}) == 1
    with sandbox.opened(Stories, system_clock):
        assert users.count_documents({}) == 0
