"""The API's description describes every route, and the real answers fit it."""

from __future__ import annotations

import msgspec
import pytest

from app.services import record
from app.web import openapi
from tests.builders import build_pair
from tests.live import Live


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/api/rooms", openapi.Rooms),
        ("/api/rooms/ROOM", openapi.Room),
        ("/api/rooms/ROOM/entries?after=-1&limit=1000", openapi.Entries),
        ("/api/rooms/ROOM/consistency?from=1&to=5", openapi.Consistency),
        ("/api/rooms/ROOM/consistency?from=9&to=5", openapi.Error),
        ("/api/rooms/00000000000000000000000000", openapi.Error),
        ("/api/rooms/ROOM/entries/999/receipt", openapi.Error),
    ],
)
async def test_answers_are_what_the_description_says(live: Live, path: str, schema: type[msgspec.Struct]) -> None:
    pair = await build_pair(live.resources)
    await record.append(live.resources, pair.client, pair.room, "message", {"text": "Good morning"})
    async with live.http(pair.client) as http:
        answer = await http.get(path.replace("ROOM", pair.room))
    assert answer.is_success != (schema is openapi.Error)
    msgspec.json.decode(answer.content, type=schema)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "99999999999999999999", "many", ""])
async def test_a_limit_that_is_out_of_range_is_refused_and_named(live: Live, limit: str) -> None:
    pair = await build_pair(live.resources)
    async with live.http(pair.client) as http:
        answer = await http.get(f"/api/rooms/{pair.room}/entries", params={"limit": limit})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "malformed", "limit")


async def test_what_is_posted_is_answered_as_described(live: Live) -> None:
    pair = await build_pair(live.resources)
    async with live.http(pair.client) as http:
        new = {"kind": "message", "body": {"text": "By a program"}, "cid": "cid-00000001"}
        answer = await http.post(f"/api/rooms/{pair.room}/entries", json=new)
        again = await http.post(f"/api/rooms/{pair.room}/entries", json=new)
        wrong = await http.post(f"/api/rooms/{pair.room}/entries", json={"kind": "message"})
    assert answer.status_code == 201
    assert msgspec.json.decode(answer.content, type=openapi.AppendedEntry).seq == 5
    assert again.json() == answer.json()
    assert msgspec.json.decode(wrong.content, type=openapi.Error).error.code == "malformed"


async def test_every_route_of_the_api_is_described(live: Live) -> None:
    async with live.http() as http:
        document = (await http.get("/api/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == set(openapi.OPERATIONS)
    assert "Message" in document["components"]["schemas"]
    text = str(document)
    for name in ("Entries", "Error", "NewEntry"):
        assert f"#/components/schemas/{name}" in text and name in document["components"]["schemas"]
