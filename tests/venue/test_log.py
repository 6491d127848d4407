"""The venue's log: all that was asked and sent, as it went over the wire."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.venue.app import serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.log import BUFFER_BYTES, NO_LOG, VenueLog, as_text

TICKER = "SYN-7-01"
ORDERS = "/portfolio/events/orders"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def lines(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return [entry for entry in entries if kind in {None, entry["kind"]}]


# --- the file ----------------------------------------------------------------------------------


def test_an_entry_is_a_line_with_its_kind_and_its_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = VenueLog(path, wall_ns=lambda: 5)
    log.note("fault", {"fault": "drop", "text": "two\nlines"})
    log.close()

    assert path.read_text() == (
        '{"kind":"fault","wall_ns":5,"fault":"drop","text":"two\\nlines"}\n'
    )


def test_entries_are_written_together(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = VenueLog(path)
    log.note("frame", {"text": "short"})
    assert path.read_bytes() == b""

    log.note("frame", {"text": "x" * BUFFER_BYTES})
    assert len(lines(path)) == 2
    log.note("frame", {"text": "short"})
    log.flush()
    assert len(lines(path)) == 3
    log.close()


async def test_what_waits_is_written_before_long(tmp_path: Path) -> None:
    log = VenueLog(tmp_path / "log", flush_seconds=0.01)
    log.note("frame", {"text": "short"})
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(log.keep())
        async with asyncio.timeout(5):
            while not lines(tmp_path / "log"):
                await asyncio.sleep(0.01)
        keeper.cancel()
    log.close()


def test_bytes_that_are_no_text_show_as_escapes() -> None:
    assert as_text(b"caf\xc3\xa9 \xff") == "café \\xff"
    assert as_text("as it is") == "as it is"


async def test_without_a_log_nothing_is_kept() -> None:
    assert not NO_LOG.is_kept
    NO_LOG.note("frame", {})
    await NO_LOG.keep()


def test_what_a_log_held_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for kind in ("before", "after"):
        log = VenueLog(path)
        log.note(kind, {})
        log.close()

    assert [entry["kind"] for entry in lines(path)] == ["before", "after"]


def test_a_log_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        VenueLog(tmp_path / "missing" / "log")


# --- of a venue --------------------------------------------------------------------------------


@pytest.mark.integration
async def test_everything_is_there_as_it_went_over_the_wire(
    serve_venue: Any, key_dir: Path, client_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    config = VenueConfig(
        markets=2,
        speed=40.0,
        key_dir=key_dir,
        log=path,
        fault_lines=("drop channel=orderbook_delta every=5",),
    )
    async with serve_venue(config) as serving:
        client = client_of(serving)
        async with client.wire() as wire:
            received = []
            await wire.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
            await wire.send("subscribe", channels=["fill"])
            received = [await wire.connection.recv(decode=False) for _ in range(30)]
            created = await client.create(
                ticker=TICKER,
                side="bid",
                count="2.00",
                price="0.0100",
                client_order_id="mine",
            )
            order_id = created.json()["order_id"]
            await client.rest("DELETE", f"/portfolio/events/orders/{order_id}")
            await client.rest("GET", "/markets?limit=1&status=open")
            await client.rest("POST", "/portfolio/events/orders", {"side": "bid"}, headers={})

    key_id = serving.key_id
    frames = lines(path, "frame")
    assert [frame["text"].encode() for frame in frames[:30]] == received
    assert {(frame["session"], frame["key_id"]) for frame in frames} == {(1, key_id)}
    commands = [json.loads(entry["text"]) for entry in lines(path, "command")]
    assert [command["cmd"] for command in commands] == ["subscribe", "subscribe"]
    assert [(entry["key_id"], entry["status"]) for entry in lines(path, "handshake")] == [
        (key_id, 101)
    ]
    seqs = {json.loads(frame["text"]).get("seq") for frame in frames}
    dropped = lines(path, "fault")
    assert dropped[0]["fault"] == "drop channel=orderbook_delta every=5"
    assert all(json.loads(entry["text"])["seq"] not in seqs for entry in dropped)
    create, cancel, listed, unsigned = lines(path, "rest")
    assert (create["method"], create["path"], create["status"]) == (
        "POST",
        "/trade-api/v2/portfolio/events/orders",
        201,
    )
    assert json.loads(create["request"])["client_order_id"] == "mine"
    assert create["response"] == created.text
    assert (cancel["method"], cancel["key_id"], cancel["request"]) == ("DELETE", key_id, "")
    assert listed["query"] == "limit=1&status=open"
    assert (unsigned["status"], json.loads(unsigned["request"])) == (401, {"side": "bid"})
    accepted, ended = lines(path, "order")
    assert (accepted["order_id"], accepted["client_order_id"]) == (order_id, "mine")
    assert (accepted["key_id"], accepted["ticker"], accepted["status"]) == (
        key_id,
        TICKER,
        "resting",
    )
    assert isinstance(accepted["after_frame"], int)
    assert (ended["order_id"], ended["status"]) == (order_id, "canceled")


@pytest.mark.integration
async def test_what_was_never_answered_has_no_status(
    serve_venue: Any, key_dir: Path, client_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    fault = "timeout lands=yes count=1"
    config = VenueConfig(markets=1, hold=True, key_dir=key_dir, log=path, fault_lines=(fault,))
    async with serve_venue(config) as serving:
        client = client_of(serving)
        address = httpx.URL(serving.rest)
        signed = client.credentials.headers("POST", f"{REST_PATH}{ORDERS}", wall_ms())
        for body in (b"{}", b"{"):  # a whole one that is never answered, and half a one
            head = [f"POST {REST_PATH}{ORDERS} HTTP/1.1", "Host: localhost", "Content-Length: 2"]
            head += [f"{name}: {value}" for name, value in signed.items()]
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            await writer.drain()
            if body == b"{}":
                async with asyncio.timeout(5):
                    while not any(live.strikes for live in serving.faults):
                        await asyncio.sleep(0.01)
            writer.close()
            await writer.wait_closed()
        assert (await client.rest("GET", "/exchange/status")).status_code == 200

    told = sorted(lines(path, "rest"), key=lambda entry: entry["wall_ns"])
    assert [(entry["request"], entry["status"]) for entry in told if entry["request"]] == [
        ("{}", None),
        ("{", None),
    ]


@pytest.mark.integration
async def test_who_asks_by_a_foreign_name_is_in_the_log_too(
    key_dir: Path, client_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    async with serve(VenueConfig(markets=1, hold=True, key_dir=key_dir, log=path)) as serving:
        await client_of(serving).rest("GET", "/markets", headers={"Host": "evil.example"})

    assert [(entry["path"], entry["status"]) for entry in lines(path, "rest")] == [
        (f"{REST_PATH}/markets", 400)
    ]


@pytest.mark.integration
async def test_an_answer_made_by_a_fault_says_so(
    serve_venue: Any, key_dir: Path, client_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    config = VenueConfig(
        markets=1,
        hold=True,
        key_dir=key_dir,
        log=path,
        fault_lines=("timeout lands=yes ms=20 count=1",),
    )
    order = {"ticker": TICKER, "side": "bid", "count": "1.00", "price": "0.0100"}
    async with serve_venue(config) as serving:
        client = client_of(serving)
        assert (await client.create(**order)).status_code == 504
        assert (await client.create(**order)).status_code == 201

    struck, whole = lines(path, "rest")
    assert (struck["status"], struck["fault"]) == (504, "timeout lands=yes ms=20 count=1")
    assert "fault" not in whole
    assert [entry["path"] for entry in lines(path, "fault")] == [struck["path"]]
    assert len(lines(path, "order")) == 2
