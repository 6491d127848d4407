"""Faults that time alone sets off, and faults given while the venue runs."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kalshiflow.exchange.environments import REST_PATH

pytestmark = pytest.mark.integration

TICKER = "SYN-7-01"
ORDER = {"ticker": TICKER, "side": "bid", "count": "1.00", "price": "0.0100"}


async def venue(serving: Any, method: str, path: str, body: Any = None) -> httpx.Response:
    base = serving.rest.removesuffix(REST_PATH)
    async with httpx.AsyncClient() as http:
        return await http.request(method, f"{base}/venue{path}", json=body)


async def is_cut(wire: Any) -> bool:
    try:
        async with asyncio.timeout(10):
            while True:
                await wire.connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd is None  # no closing handshake
    except TimeoutError:
        return False


async def test_maintenance_pauses_trading_and_ends_every_connection(
    faulty: Any, client_of: Any
) -> None:
    async with faulty(hold=True) as serving:
        client = client_of(serving)
        resting = (await client.create(**ORDER)).json()["order_id"]
        async with client.wire() as wire:
            given = await venue(serving, "POST", "/faults", {"fault": "maintenance for=400ms"})
            assert await is_cut(wire)
        status = (await client.rest("GET", "/exchange/status")).json()
        refused = await client.create(**ORDER)
        async with client.wire() as wire:  # who comes back meanwhile is let in
            listed = await wire.ask("list_subscriptions")
        cancelled = await client.rest("DELETE", f"/portfolio/events/orders/{resting}")
        async with asyncio.timeout(5):
            while not (await client.rest("GET", "/exchange/status")).json()["trading_active"]:
                await asyncio.sleep(0.02)
        after = await client.create(**ORDER)

    assert given.status_code == 201
    assert status["trading_active"] is False
    assert 400 <= refused.status_code < 500
    assert listed["type"] == "ok"
    assert cancelled.status_code == 200
    assert after.status_code == 201


async def test_maintenance_that_is_ended_early_lets_trading_go_on(
    faulty: Any, client_of: Any
) -> None:
    async with faulty("maintenance", hold=True) as serving:
        client = client_of(serving)

        async def trades(*, wanted: bool) -> None:
            async with asyncio.timeout(5):
                told = None
                while told is not wanted:
                    told = (await client.rest("GET", "/exchange/status")).json()["trading_active"]

        await trades(wanted=False)
        assert (await venue(serving, "DELETE", "/faults/1")).json()["phase"] == "over"
        await trades(wanted=True)


async def test_maintenance_leaves_a_pause_that_was_there_before(
    faulty: Any, client_of: Any
) -> None:
    async with faulty(hold=True) as serving:
        client = client_of(serving)
        await venue(serving, "POST", "/exchange/pause-trading", {})
        async with client.wire() as wire:
            await venue(serving, "POST", "/faults", {"fault": "maintenance"})
            assert await is_cut(wire)  # it has begun
        await venue(serving, "DELETE", "/faults")
        await venue(serving, "POST", "/faults", {"fault": "disconnect for=60s"})
        async with client.wire() as wire:
            assert await is_cut(wire)  # its end was seen
        status = (await client.rest("GET", "/exchange/status")).json()
        resumed = await venue(serving, "POST", "/exchange/resume-trading")

    assert status["trading_active"] is False
    assert resumed.status_code == 200


async def test_a_disconnect_given_now_ends_the_connections_of_now(
    faulty: Any, client_of: Any
) -> None:
    async with faulty(hold=True) as serving:
        client = client_of(serving)
        async with client.wire() as first, client.wire() as second:
            await venue(serving, "POST", "/faults", {"fault": "disconnect"})
            assert await is_cut(first)
            assert await is_cut(second)
        async with client.wire() as third:
            assert (await third.ask("list_subscriptions"))["type"] == "ok"
        (fault,) = (await venue(serving, "GET", "/faults")).json()["faults"]

    assert fault == {"number": 1, "fault": "disconnect", "phase": "over", "strikes": 2}


async def test_while_a_disconnect_lasts_nobody_stays(faulty: Any, client_of: Any) -> None:
    async with faulty("disconnect for=60s", hold=True) as serving:
        client = client_of(serving)
        for _ in range(2):
            async with client.wire() as wire:
                assert await is_cut(wire)


async def test_a_script_sets_off_each_fault_at_its_second(
    faulty: Any, client_of: Any, tmp_path: Path
) -> None:
    script = tmp_path / "faults"
    script.write_text('{"fault": "disconnect", "at": 0.3}\n5xx at=60s\n')
    async with faulty(faults=script, hold=True) as serving:
        async with client_of(serving).wire() as wire:
            assert await is_cut(wire)
        phases = [one["phase"] for one in (await venue(serving, "GET", "/faults")).json()["faults"]]

    assert phases == ["over", "waiting"]


async def test_faults_come_and_go_over_the_venues_own_endpoints(faulty: Any) -> None:
    async with faulty(hold=True) as serving:
        given = await venue(serving, "POST", "/faults", {"fault": "429  path=/markets"})
        async with httpx.AsyncClient() as http:
            struck = (await http.get(f"{serving.rest}/markets")).status_code
        told = (await venue(serving, "GET", "/faults")).json()
        ended = await venue(serving, "DELETE", "/faults/1")
        unknown = [
            (await venue(serving, "DELETE", f"/faults/{number}")).status_code
            for number in ("1", "one", "9" * 5_000)
        ]
        none = (await venue(serving, "DELETE", "/faults")).json()

    first = {"number": 1, "fault": "429 path=/markets", "phase": "on", "strikes": 0}
    assert (given.status_code, given.json()) == (201, first)
    assert struck == 429
    assert told == {"faults": [{**first, "strikes": 1}]}
    assert (ended.status_code, ended.json()["phase"]) == (200, "over")
    assert unknown == [404, 404, 404]
    assert none == {"faults": []}


async def test_a_wrong_fault_is_refused_in_a_sentence(faulty: Any) -> None:
    async with faulty(hold=True) as serving:
        for body, words in (
            ({"fault": "drop evry=1"}, "drop: evry=1 is not known; it takes "),
            ({"fault": ""}, "there is no fault without a name; there are "),
            (
                {"spec": "drop"},
                'the body must be like {"fault": "drop every=100"}: Object contains',
            ),
            ([], 'the body must be like {"fault": "drop every=100"}: Expected `object`'),
        ):
            answer = await venue(serving, "POST", "/faults", body)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"].startswith(words)
        assert (await venue(serving, "GET", "/faults")).json() == {"faults": []}
