"""The web API of the examples, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from httpx import ASGITransport, AsyncClient, Response

from datalayer import Community, DataLayerError
from datalayer.errors import OutcomeUnknownError, SchemaDriftError, UnavailableError
from examples.fastapi_app.app import app
from examples.fastapi_app.errors import HIDDEN, STATUS, status_of

ADA, BEN = {"X-Auth-User": "auth|ada"}, {"X-Auth-User": "auth|ben"}


@pytest.fixture
async def api(
    datalayer_uri: str,
    community: Community,  # noqa: ARG001 - it empties the database
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[AsyncClient]:
    """The application with an empty database, and a client of it."""
    monkeypatch.setenv("MONGODB_URI", datalayer_uri)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://api") as http,
    ):
        yield http


def body(response: Response, status: int = 200) -> Any:
    """What was answered, with the status that it should have."""
    assert response.status_code == status, response.text
    return response.json()


async def space(api: AsyncClient) -> str:
    return body(await api.post("/spaces", json={"name": "General"}, headers=ADA), 201)["id"]


async def post(api: AsyncClient, space_id: str, content: str = "Hello!") -> dict[str, Any]:
    return body(await api.post(f"/spaces/{space_id}/posts", json={"content": content}, headers=ADA), 201)


async def test_a_community_from_its_first_space_to_a_deleted_post(api: AsyncClient) -> None:
    home = await space(api)
    assert [item["name"] for item in body(await api.get("/spaces"))] == ["General"]
    made = await post(api, home, "<b>Hello</b>")
    assert (made["contentHtml"], made["authorName"]) == ("<p>&lt;b&gt;Hello&lt;/b&gt;</p>", "Member")
    here = f"/posts/{made['id']}"
    assert body(await api.get(here)) == made

    first = body(await api.post(f"{here}/comments", json={"content": "Welcome!"}, headers=BEN), 201)
    reply = {"content": "Thank you.", "parentId": first["id"]}
    body(await api.post(f"{here}/comments", json=reply, headers=ADA), 201)
    (thread,) = body(await api.get(f"{here}/comments"))["items"]
    assert (thread["comment"]["content"], [item["content"] for item in thread["replies"]]) == (
        "Welcome!",
        ["Thank you."],
    )

    for _ in range(2):
        assert body(await api.put(f"{here}/like", headers=BEN)) == {"liked": True, "likeCount": 1}
    assert body(await api.put(f"/comments/{first['id']}/like", headers=ADA)) == {"liked": True, "likeCount": 1}
    for _ in range(2):
        assert body(await api.delete(f"{here}/like", headers=BEN)) == {"liked": False, "likeCount": 0}
    assert body(await api.delete(f"/comments/{first['id']}/like", headers=ADA)) == {"liked": False, "likeCount": 0}

    changed = body(await api.patch(here, json={"title": "Hi", "content": "&"}, headers=ADA))
    assert (changed["title"], changed["contentHtml"], changed["commentCount"]) == ("Hi", "<p>&amp;</p>", 2)
    assert body(await api.patch(here, json={"title": None}, headers=ADA))["title"] is None
    assert body(await api.put(f"{here}/pin", headers=ADA))["pinnedAt"] is not None
    assert (await api.delete(here, headers=ADA)).status_code == 204
    assert body(await api.get(here), 404)["code"] == "not_found"


async def test_the_pages_of_a_feed_give_each_post_once(api: AsyncClient) -> None:
    home = await space(api)
    written = [(await post(api, home, str(number)))["id"] for number in range(5)]
    given: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = body(await api.get(f"/spaces/{home}/posts", params=query))
        given += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert given == written[::-1]


async def test_a_post_and_its_reward_happen_together_or_not_at_all(
    api: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await space(api)
    await post(api, home)
    community: Community = app.state.community
    ada = await community.users.by_auth_user_id("auth|ada")
    assert ada is not None
    assert ada.points == 10

    async def fail(*_: object, **__: object) -> None:
        raise UnavailableError

    monkeypatch.setattr("datalayer.repositories.posts.bring_about", fail)
    body(await api.post(f"/spaces/{home}/posts", json={"content": "Lost"}, headers=ADA), 503)
    assert len(body(await api.get(f"/spaces/{home}/posts"))["items"]) == 1
    assert (await community.users.get(ada.id)).points == 10


async def test_everybody_likes_at_once_and_the_counter_is_exact(api: AsyncClient) -> None:
    made = await post(api, await space(api))
    likes = [api.put(f"/posts/{made['id']}/like", headers={"X-Auth-User": f"auth|{n}"}) for n in range(30)]
    answers = [body(response) for response in await asyncio.gather(*likes)]
    assert sorted(answer["likeCount"] for answer in answers) == list(range(1, 31))


async def test_errors_have_a_status_and_a_code(api: AsyncClient) -> None:
    home = await space(api)
    posts = [await post(api, home, str(number)) for number in range(4)]
    for pinned in posts[:3]:
        body(await api.put(f"/posts/{pinned['id']}/pin", headers=ADA))
    nobody = ObjectId()
    for response, status, code in (
        (await api.get(f"/posts/{nobody}"), 404, "not_found"),
        (await api.put(f"/posts/{nobody}/like", headers=ADA), 404, "not_found"),
        (await api.put(f"/posts/{posts[3]['id']}/pin", headers=ADA), 409, "pin_limit"),
        (await api.post("/spaces", json={"name": " "}, headers=ADA), 422, "invalid_input"),
        (await api.get(f"/spaces/{home}/posts", params={"limit": 101}), 422, "invalid_input"),
        (await api.get(f"/spaces/{home}/posts", params={"after": "bad"}), 422, "invalid_cursor"),
    ):
        assert body(response, status)["code"] == code
    assert "name" in body(await api.post("/spaces", json={"name": ""}, headers=ADA), 422)["detail"]


async def test_what_is_no_id_is_refused_by_its_form(api: AsyncClient) -> None:
    for path in ("/posts/1", f"/posts/{'z' * 24}", "/spaces/1/posts"):
        refused = body(await api.get(path), 422)
        assert refused["code"] == "invalid_input"
        assert refused["detail"].endswith("_id: must be an id: 24 hexadecimal digits")
    made = await post(api, await space(api))
    reply = {"content": "?", "parentId": {"$ne": None}}
    body(await api.post(f"/posts/{made['id']}/comments", json=reply, headers=ADA), 422)


async def test_only_the_author_changes_a_post(api: AsyncClient) -> None:
    made = await post(api, await space(api))
    assert (await api.delete(f"/posts/{made['id']}", headers=BEN)).status_code == 403
    assert (await api.delete(f"/posts/{made['id']}")).status_code == 422
    assert body(await api.get(f"/posts/{made['id']}"))["id"] == made["id"]


@pytest.mark.parametrize("raised", [UnavailableError, OutcomeUnknownError, SchemaDriftError])
async def test_a_failure_of_the_server_is_told_without_its_internals(
    api: AsyncClient, monkeypatch: pytest.MonkeyPatch, raised: type[DataLayerError], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object) -> None:
        raise raised("db1.internal:27017 is gone", hint="Ask mongosh.")

    monkeypatch.setattr(app.state.community.posts, "get", fail)
    response = await api.get(f"/posts/{ObjectId()}")
    answer = body(response, 500 if raised is SchemaDriftError else 503)
    assert answer == {"code": raised.code, "detail": HIDDEN.get(raised.code, "Something went wrong.")}
    # What may have happened is not for a client to repeat blindly.
    assert response.headers.get("Retry-After") == ("1" if raised is UnavailableError else None)
    assert "db1.internal" in caplog.text


def test_every_code_of_the_table_is_one_of_the_library() -> None:
    def codes(kind: type[DataLayerError]) -> set[str]:
        return {kind.code}.union(*(codes(below) for below in kind.__subclasses__()))

    assert codes(DataLayerError) >= STATUS.keys() | HIDDEN.keys()
    assert status_of(DataLayerError) == 500


async def test_the_api_describes_itself(api: AsyncClient) -> None:
    """Ids are strings with a form, and no response has a field of the database's own."""
    document = body(await api.get("/openapi.json"))
    (post_id,) = document["paths"]["/posts/{post_id}"]["get"]["parameters"]
    assert post_id["schema"]["pattern"] == "^[0-9a-f]{24}$"
    assert not {"_id", "revision", "authUserId"} & {
        field for schema in document["components"]["schemas"].values() for field in schema.get("properties", {})
    }
