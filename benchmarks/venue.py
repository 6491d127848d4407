"""The venue's speed: frames to subscribers, orders matched, replay at top speed, a steady clock.

Each figure is taken in this run, printed as `name value unit`; rates belong to the machine named,
ratios are what counts. Two processes share it: the venue is this one, readers are others.

- `frames_to_1`, `frames_to_10`: frames a second that go out to raw readers (which take bytes and
  throw them away) as synthetic traders act as fast as they can: matching and ledgers included.
- `orders_floor`: orders a second that the floor alone takes, half of which are matched;
  `orders_rest`: the same over REST, one request after another on one connection.
- `top_speed`: frames a second of a capture that the venue writes to a raw reader, which is no
  limit. It is compared with `websockets_discards`: what the `websockets` client reads and throws
  away of the same frames from a bare sender, which is the most that any such client could take.
  The bar is 1.5. `top_speed_to_websockets` is what that client reads of the venue's frames; with
  fewer than three free cores the two processes take from each other. Medians of three takes.
- `real_time_core`: the share of a core that 300 synthetic markets take at the speed of life, with
  one reader of all of them. The bar is 0.5.
- `clock_error`: with 300 markets and 20 book changes a second of market time at speed 60, how far
  the market time of the frames on the wire departs from sixty times our clock. The bar is 0.01.
"""

import asyncio
import itertools
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

import httpx
import structlog
from discard import reading, sending
from feed import ROUNDS, frames_of
from machine import machine
from websockets.asyncio.client import connect

from kalshiflow.exchange.capture import CaptureWriter
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.events import BookDelta, Side
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import CONTRACT, Cash, Price
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import State
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.traders.synthetic import record
from kalshiflow.venue.websocket.framing import framed

SECONDS = 3.0
RECORDED_SECONDS = 600.0
LAPS = 4  # how often the recording is gone through
ORDERS = 4_000
MANY = 300
SPEED, ACTIVITY = 60.0, 20.0


def tickers_of(serving: Serving) -> list[str]:
    """Give all markets of a venue."""
    return [listed.market.ticker for listed in serving.venue.floor.markets()]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a venue or its readers do."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)


async def until_heard(serving: Serving, count: int) -> None:
    """Wait for readers' subscriptions to books and trades."""
    sessions = serving.venue.hub.sessions
    await until(lambda: sum(len(session.by_channel) for session in sessions()) == 2 * count)


async def live_frames(serving: Serving, count: int) -> float:
    """Give the frames a second that go out to `count` raw readers."""
    status = f"{serving.rest.removesuffix(REST_PATH)}/venue/status"
    with reading(serving, tickers_of(serving), count):
        await until_heard(serving, count)
        serving.venue.clock.begin()
        async with httpx.AsyncClient(trust_env=False) as client:
            before, began = (await client.get(status)).json()["frames_sent"], time.monotonic()
            await asyncio.sleep(SECONDS)
            after, ended = (await client.get(status)).json()["frames_sent"], time.monotonic()
    return (after - before) / (ended - began)


def orders(market: Market, rng: random.Random) -> list[NewOrder]:
    """Give orders in pairs: one that rests, one that takes it."""
    made = []
    for number in range(ORDERS // 2):
        side, price = rng.choice(list(Side)), Price(rng.randrange(40, 60) * 100)
        maker, taker = f"{number}-m", f"{number}-t"
        made.append(NewOrder(market.ticker, side, price, CONTRACT, client_order_id=maker))
        made.append(
            NewOrder(
                market.ticker, side.other, price, CONTRACT, TimeInForce.IOC, client_order_id=taker
            )
        )
    return made


def floor_orders() -> float:
    """Give the orders a second that the floor takes from two accounts in turn."""
    market = Market("BENCH-1", "BENCH", "A market")
    floor = Floor(Identifiers(1), Accounts(), lambda _: None)
    floor.list_market(market, MatchingBook(market.ticker, market.grid))
    accounts = [Account(name, Cash(10**12)) for name in ("maker", "taker")]
    for account in accounts:
        floor.accounts.open(account)
    made = orders(market, random.Random(1))
    began = time.perf_counter()
    for account, order in zip(itertools.cycle(accounts), made, strict=False):
        floor.place(account, order, 1)
    took = time.perf_counter() - began
    assert len(accounts[0].fills) == len(accounts[1].fills) == ORDERS // 2
    return ORDERS / took


async def rest_orders(folder: Path) -> float:
    """Give the orders a second that one connection places, one after another."""
    path = "/portfolio/events/orders"
    config = VenueConfig(markets=1, hold=True, tier="unlimited", key_dir=folder)
    async with serve(config) as serving, httpx.AsyncClient(trust_env=False) as client:
        ticker = tickers_of(serving)[0]
        signer = Credentials.from_pem(serving.key_id, serving.private_key_path.read_text())
        headers = signer.headers("POST", REST_PATH + path, time.time_ns() // 1_000_000)
        count, began = 0, time.monotonic()
        while time.monotonic() - began < SECONDS:
            body = {
                "ticker": ticker,
                "side": "bid",
                "price": "0.0100",
                "count": "1.00",
                "time_in_force": "good_till_canceled",
                "self_trade_prevention_type": "taker_at_cross",
                "client_order_id": f"order-{count}",
            }
            answer = await client.post(serving.rest + path, json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            count += 1
        return count / (time.monotonic() - began)


def write_capture(path: Path) -> list[bytes]:
    """Write a capture of a few laps of a synthetic recording; give the frames of one lap."""
    recording = record(24, RECORDED_SECONDS)
    frames = frames_of(recording)
    with CaptureWriter(path) as writer:
        for lap in range(LAPS):
            for raw in frames if lap == 0 else _without_numbers(frames):
                writer.write(raw, 1)
    return frames


def _without_numbers(frames: list[bytes]) -> list[bytes]:
    # A lap's numbers begin anew; unnumbered frames are no gap.
    return [raw.replace(b'"seq":', b'"was":', 1) for raw in frames]


async def top_speed(capture: Path, folder: Path, how: str) -> float:
    """Give the frames a second of a capture from its first to the reader's last byte."""
    config = VenueConfig(capture=capture, speed=inf, hold=True, key_dir=folder)
    async with serve(config) as serving:
        with reading(serving, tickers_of(serving), 1, how) as readers:
            await until_heard(serving, 1)
            began = time.monotonic()
            serving.venue.clock.begin()
            await until(lambda: serving.venue.state is State.FINISHED)
            taken, ended = await asyncio.to_thread(readers.end)
            assert taken > 0
            return serving.venue.position() / (ended - began)


async def websockets_discards(frames: list[bytes]) -> float:
    """Give the frames a second that the `websockets` client reads from a bare sender."""
    piece = framed(frames[-2_000:])
    with sending(piece) as port:
        while True:
            try:
                reader = await connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None)
                break
            except OSError:
                await asyncio.sleep(0.05)
        async with reader:
            for _ in range(5_000):
                await reader.recv(decode=False)
            count, began = 0, time.monotonic()
            while count % 1_000 or time.monotonic() - began < SECONDS:
                await reader.recv(decode=False)
                count += 1
            return count / (time.monotonic() - began)


async def real_time_core() -> float:
    """Give the processor's share of 300 markets at the speed of life."""
    async with serve(VenueConfig(markets=MANY, speed=1.0, hold=True)) as serving:
        with reading(serving, tickers_of(serving), 1):
            await until_heard(serving, 1)
            serving.venue.clock.begin()
            await asyncio.sleep(0.5)
            began, core = time.monotonic(), time.process_time()
            await asyncio.sleep(SECONDS)
            return (time.process_time() - core) / (time.monotonic() - began)


async def clock_error() -> float:
    """Give the departure of the frames' market time from ours times 60, as a share of it."""
    config = VenueConfig(markets=MANY, speed=SPEED, activity=ACTIVITY, hold=True)
    async with serve(config) as serving:
        headers = Credentials.from_pem(
            serving.key_id, serving.private_key_path.read_text()
        ).headers("GET", "/trade-api/ws/v2", time.time_ns() // 1_000_000)
        feed = Feed(uses_yes_price=True)
        async with connect(
            serving.ws, additional_headers=headers, compression=None, proxy=None
        ) as reader:
            names = ",".join(f'"{ticker}"' for ticker in tickers_of(serving))
            await reader.send(
                '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],'
                f'"use_yes_price":true,"market_tickers":[{names}]}}}}'
            )
            await until(serving.venue.is_covered)
            serving.venue.clock.begin()
            began, first, moment, at = time.monotonic(), 0, 0, 0.0
            while at < 2 * SECONDS:
                event = feed.receive(await reader.recv(decode=False), 0).event
                if isinstance(event, BookDelta):
                    moment, at = event.stamp.market_time, time.monotonic() - began
                    first = first or serving.venue.clock.start
    return abs((moment - first) / 1e9 / (at * SPEED) - 1)


async def main(folder: Path) -> None:
    """Measure and print."""
    print(f"machine: {machine()}")
    for count in (1, 10):
        async with serve(VenueConfig(speed=inf, hold=True, key_dir=folder)) as serving:
            print(f"frames_to_{count} {await live_frames(serving, count):.0f} frames/s")
    print(f"orders_floor {floor_orders():.0f} orders/s")
    print(f"orders_rest {await rest_orders(folder):.0f} orders/s")
    capture = folder / "capture.jsonl"
    frames = write_capture(capture)
    takes = [
        (
            await websockets_discards(frames),
            await top_speed(capture, folder, "raw"),
            await top_speed(capture, folder, "websockets"),
        )
        for _ in range(ROUNDS)
    ]
    discards, fastest, read = (statistics.median(take) for take in zip(*takes, strict=True))
    print(f"websockets_discards {discards:.0f} frames/s")
    print(f"top_speed {fastest:.0f} frames/s")
    print(f"top_speed_of_websockets_discards {fastest / discards:.3f} ratio")
    print(f"top_speed_to_websockets {read:.0f} frames/s")
    print(f"top_speed_to_websockets_of_websockets_discards {read / discards:.3f} ratio")
    print(f"real_time_core {await real_time_core():.3f} ratio")
    print(f"clock_error {await clock_error():.5f} ratio")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as kept:
        asyncio.run(main(Path(kept)))
