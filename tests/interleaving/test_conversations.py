"""One conversation for a pair, in every order of the commands of those who open it."""

from itertools import count

from tests.community.world import people
from tests.interleaving.stepping import Two


async def test_whoever_opens_it_gets_it(two: Two) -> None:
    """Also when somebody else opens it meanwhile."""
    (held, _), (free, _) = two.first, two.second
    for at in count():
        one, other = await people(free, 2)
        results = await two.interleave(
            lambda: held.conversations.open(one.id, other.id),  # noqa: B023
            lambda: free.conversations.open(other.id, one.id),  # noqa: B023
            at,
        )
        if results is None:
            assert at
            return
        assert results[0] == results[1] == await free.conversations.between(one.id, other.id)
