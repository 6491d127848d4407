"""Which markets are followed: those named, or the busiest that are open and wanted."""

from collections import Counter

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.records import ActiveMarket
from kalshiflow.exchange.selection import Filters, ranked, select_markets
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Quantity
from kalshiflow.venue.config import VenueConfig

# ticker: event, status, volume of the day, of all days, open interest
LISTED = {
    "A": ("E1", "open", "5.00", "90.00", "1.00"),
    "B": ("E2", "open", "70.00", "70.00", "1.00"),
    "C": ("E1", "closed", "900.00", "900.00", "1.00"),
    "D": ("E3", "open", "5.00", "100.00", "1.00"),
    "E": ("E3", "open", "5.00", "90.00", "2.00"),
    "KXMVE-F": ("E3", "open", "8000.00", "8000.00", "9.00"),
}
EVENTS = {"E1": "S1", "E2": "S2", "E3": "S3"}
CATEGORIES = {"S1": "Sports", "S2": "Politics", "S3": "Sports"}


class Exchange:
    """Lists the markets above, some a page, and notes what it was asked for."""

    def __init__(self, page: int = 2) -> None:
        self.page = page
        self.asked: Counter[str] = Counter()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path.removeprefix("/trade-api/v2"), request.url.params
        self.asked[path] += 1
        if path == "/markets":
            return self._markets(query)
        if path == "/events":
            names = query["tickers"].split(",") if "tickers" in query else EVENTS
            return _json(events=[_event(name) for name in names if name in EVENTS], cursor="")
        if path == "/series":
            names = [name for name, category in CATEGORIES.items() if category == query["category"]]
            return _json(series=[_series(name) for name in names] or None)
        kind, _, name = path[1:].partition("/")
        if kind == "events" and name in EVENTS:
            return _json(event=_event(name))
        if kind == "series" and name in CATEGORIES:
            return _json(series=_series(name))
        return httpx.Response(404, json={"error": {"code": "not_found"}})

    def _markets(self, query: httpx.QueryParams) -> httpx.Response:
        named = query.get("tickers", ",".join(LISTED)).split(",")
        found = [
            {
                "ticker": ticker,
                "event_ticker": event,
                "volume_24h_fp": day,
                "volume_fp": ever,
                "open_interest_fp": held,
            }
            for ticker, (event, status, day, ever, held) in LISTED.items()
            if ticker in named
            and query.get("status", status) == status
            and query.get("series_ticker", EVENTS[event]) == EVENTS[event]
        ]
        start = int(query.get("cursor", "0"))
        following = str(start + self.page) if start + self.page < len(found) else ""
        return _json(markets=found[start : start + self.page], cursor=following)


def _json(**body):
    return httpx.Response(200, json=body)


def _event(name):
    return {"event_ticker": name, "series_ticker": EVENTS[name]}


def _series(name):
    return {"ticker": name, "category": CATEGORIES[name]}


async def selected(exchange=None, **wish):
    transport = httpx.MockTransport(exchange or Exchange())
    async with KalshiClient("http://127.0.0.1:9/trade-api/v2", None, transport=transport) as client:
        return await select_markets(client, **({"tickers": (), "limit": 10} | wish))


def names(markets):
    return [market.ticker for market in markets]


# --- named ones --------------------------------------------------------------------------------


async def test_named_markets_are_followed_and_an_unknown_name_is_logged():
    with capture_logs() as logs:
        found = await selected(mode="tickers", tickers=("C", "X", "C"))

    assert [(market.ticker, market.series_ticker) for market in found] == [("C", "S1")]
    assert [line["tickers"] for line in logs] == [["X"]]


async def test_names_beyond_the_limit_are_logged():
    with capture_logs() as logs:
        found = await selected(mode="tickers", tickers=("A", "B", "C"), limit=1)

    assert names(found) == ["A"]
    assert [(line["event"], line["tickers"]) for line in logs] == [
        ("markets_beyond_limit", ["B", "C"])
    ]


async def test_no_names_are_no_markets():
    assert await selected(mode="tickers") == []


async def test_filters_do_not_touch_named_markets():
    found = await selected(mode="tickers", tickers=("A",), categories=("Politics",), exclude=("A",))

    assert names(found) == ["A"]


# --- discovery ---------------------------------------------------------------------------------


async def test_discovery_reads_all_pages_and_gives_the_busiest_open_markets_with_their_series():
    exchange = Exchange()

    found = await selected(exchange, mode="discovery")

    assert names(found) == ["KXMVE-F", "B", "D", "E", "A"]
    assert [market.series_ticker for market in found] == ["S3", "S2", "S3", "S3", "S1"]
    assert exchange.asked["/markets"] == 3


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"limit": 2}, ["KXMVE-F", "B"]),
        ({"exclude": ("KXMVE*", "B")}, ["D", "E", "A"]),
        ({"exclude": ("*",)}, []),
        ({"series": ("S1", "S2")}, ["B", "A"]),
        ({"series": ("S3",), "exclude": ("KXMVE*",), "limit": 1}, ["D"]),
        ({"categories": ("Politics",)}, ["B"]),
        ({"categories": ("Sports", "Politics"), "limit": 3}, ["KXMVE-F", "B", "D"]),
        ({"series": ("S1", "S2"), "categories": ("Sports",)}, ["A"]),
        ({"series": ("S9",)}, []),
        ({"series": ("S9",), "categories": ("Sports",)}, []),
        ({"categories": ("sports",)}, []),
    ],
)
async def test_discovery_takes_what_the_filters_admit_and_never_anything_else(wish, expected):
    assert names(await selected(mode="discovery", **wish)) == expected


async def test_a_market_that_stands_on_two_pages_is_taken_once():
    class Shifting(Exchange):
        def _markets(self, query):
            page = super()._markets(query)
            again = {"ticker": "A", "event_ticker": "E1", "volume_24h_fp": "6.00"}
            body = page.json()
            return _json(markets=[again, *body["markets"]], cursor=body["cursor"])

    assert Counter(names(await selected(Shifting(), mode="discovery")))["A"] == 1


async def test_a_market_of_unknown_terms_leaves_its_place_to_the_next():
    class Forgetful(Exchange):
        def __call__(self, request):
            if request.url.path.endswith("/series/S2"):
                return httpx.Response(404, json={})
            return super().__call__(request)

    found = await selected(Forgetful(), mode="discovery", limit=3)

    assert names(found) == ["KXMVE-F", "D", "E"]


async def test_the_events_of_many_markets_are_asked_for_together(monkeypatch):
    exchange = Exchange(page=1000)
    more = {f"M{n}": (f"F{n}", "open", "1.00", "1.00", "1.00") for n in range(250)}
    monkeypatch.setattr(f"{__name__}.LISTED", more)
    monkeypatch.setattr(f"{__name__}.EVENTS", {f"F{n}": "S1" for n in range(250)})

    found = await selected(exchange, mode="discovery", limit=250)

    assert len(found) == 250
    assert exchange.asked["/events"] == 3
    assert not [path for path in exchange.asked if path.startswith("/events/")]


# --- the pure parts ----------------------------------------------------------------------------


def active(ticker, day=0, ever=0, held=0):
    return ActiveMarket(Market(ticker, "E", ""), Quantity(day), Quantity(ever), Quantity(held))


@given(
    st.lists(
        st.builds(
            active,
            st.text("ABC", min_size=1, max_size=3),
            *[st.integers(0, 3)] * 3,
        ),
        unique_by=lambda one: one.market.ticker,
    ),
    st.randoms(use_true_random=False),
)
def test_the_ranking_is_the_same_whatever_the_order_and_takes_the_best(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)

    best = ranked(found)

    assert ranked(shuffled) == best
    assert ranked(shuffled, 3) == best[:3]
    for first, second in zip(best, best[1:], strict=False):
        assert (first.volume_24h, first.volume, first.open_interest) >= (
            second.volume_24h,
            second.volume,
            second.open_interest,
        )


@pytest.mark.parametrize(
    ("filters", "category", "is_admitted"),
    [
        (Filters(), None, True),
        (Filters(series=("S",)), None, True),
        (Filters(series=("T",)), None, False),
        (Filters(categories=("Sports",)), "Sports", True),
        (Filters(categories=("Sports",)), "Politics", False),
        (Filters(categories=("Sports",)), None, False),
        (Filters(series=("S",), categories=("Sports",), exclude=("KX?-*",)), "Sports", False),
        (Filters(exclude=("kx*",)), None, True),
    ],
)
def test_a_new_market_is_judged_by_the_same_filters(filters, category, is_admitted):
    market = Market("KXA-1", "E", "", series_ticker="S")

    assert filters.admits(market, category) is is_admitted


# --- at the venue ------------------------------------------------------------------------------


@pytest.mark.integration
async def test_the_venues_markets_are_found_by_category_with_books_and_a_clock(serve_venue):
    config = VenueConfig(markets=12, hold=True)
    async with serve_venue(config) as serving:
        pem = serving.private_key_path.read_text()
        signer = Credentials.from_pem(serving.key_id, pem)
        async with KalshiClient(serving.rest, signer) as client:
            everything = await select_markets(client, mode="discovery", tickers=(), limit=99)
            category = (await client.get_series(everything[0].series_ticker)).category
            same = await select_markets(
                client, mode="discovery", tickers=(), limit=99, categories=(category,)
            )
            tickers = names(everything)
            books = await client.get_orderbooks([*tickers, "NO-SUCH"])
            single = await client.get_orderbook(tickers[0])
            offset = client.clock_offset

    assert len(everything) == 12
    assert names(same) == tickers
    assert set(books) == set(tickers)
    assert books[tickers[0]] == single
    assert offset.lowest <= 0 <= offset.highest
