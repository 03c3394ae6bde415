"""The routines of the application, each on an empty database."""

from app import best_posts, main_space, publish, sign_in

from datalayer import Community


async def test_an_account_has_one_user(community: Community) -> None:
    first = await sign_in(community, "auth|ada", "Ada")
    again = await sign_in(community, "auth|ada", "Ada")
    assert first.id == again.id


async def test_a_post_gives_points(community: Community) -> None:
    ada = await sign_in(community, "auth|ada", "Ada")
    await main_space(community)
    post = await publish(community, ada.id, "<b>Hello!</b>")
    assert post.content_html == "<p>&lt;b&gt;Hello!&lt;/b&gt;</p>"
    assert (await community.users.get(ada.id)).points == 10


async def test_the_most_liked_post_comes_first(community: Community) -> None:
    ada = await sign_in(community, "auth|ada", "Ada")
    first = await publish(community, ada.id, "First")
    await publish(community, ada.id, "Second")
    await community.likes.like(ada.id, "post", first.id)
    assert [post.content for post in await best_posts(community)] == ["First", "Second"]
