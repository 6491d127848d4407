"""The REST client against a server that is only a function: what is sent, read, retried, refused."""

import json
import time

import httpx
import pytest
from structlog.testing import capture_logs

from kalshiflow.exchange.client import KalshiClient, Limits, Retries
from kalshiflow.exchange.credentials import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    verify,
)
from kalshiflow.exchange.errors import (
    DuplicateClientOrderId,
    ExchangeUnavailable,
    InsufficientBalance,
    InvalidPrice,
    MarketInactive,
    NotFillable,
    NotFound,
    OrderRejected,
    PostOnlyCross,
    ProtocolError,
    RateLimited,
    RequestRejected,
    Unauthorised,
    UnknownOutcome,
    Unreachable,
)
from kalshiflow.market.events import Side
from kalshiflow.market.listing import FeeType, Market
from kalshiflow.market.orders import OrderError, OrderState, TimeInForce
from kalshiflow.market.units import Price, Quantity

URL = "http://127.0.0.1:9/trade-api/v2"
PROMPT = Retries(attempts=3, initial=0.0)
HTML = (502, b"<html><body>Bad gateway</body></html>")


class Exchange:
    """Answers with the scripted (status, body) pairs in turn, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content)

    @property
    def sent(self) -> dict:
        return json.loads(self.requests[-1].content)


def client(exchange, credentials=None, **options):
    options = {"retries": PROMPT} | options
    return KalshiClient(URL, credentials, transport=httpx.MockTransport(exchange), **options)


def market(ticker, **fields):
    return {"ticker": ticker, "event_ticker": "E", "title": "t", "status": "active"} | fields


# --- what is sent ------------------------------------------------------------------------------


async def test_a_request_is_signed_over_its_path_without_the_query(credentials, key_pair):
    exchange = Exchange((200, {"fills": [], "cursor": ""}))

    async with client(exchange, credentials, now_ms=lambda: 1_795_164_881_950) as kalshi:
        await kalshi.get_fills(ticker="M")

    (request,) = exchange.requests
    assert request.url.params["ticker"] == "M"
    assert request.headers[KEY_HEADER] == "key-1"
    assert verify(
        key_pair[1],
        request.headers[TIMESTAMP_HEADER],
        "GET",
        "/trade-api/v2/portfolio/fills",
        request.headers[SIGNATURE_HEADER],
    )


async def test_without_credentials_nothing_is_signed():
    exchange = Exchange((200, {"exchange_active": True, "trading_active": False}))

    async with client(exchange) as kalshi:
        status = await kalshi.get_exchange_status()

    assert (status.exchange_active, status.trading_active) == (True, False)
    assert SIGNATURE_HEADER not in exchange.requests[0].headers


async def test_an_order_is_sent_as_text_on_the_yes_book():
    exchange = Exchange(
        (
            201,
            {
                "order_id": "o-1",
                "client_order_id": "mine",
                "fill_count": "1.00",
                "remaining_count": "9.00",
                "average_fill_price": "0.5500",
                "average_fee_paid": "0.0174",
                "ts_ms": 5,
            },
        )
    )

    async with client(exchange) as kalshi:
        ack = await kalshi.create_order(
            "M",
            Side.ASK,
            Price(5600),
            Quantity(1000),
            "mine",
            TimeInForce.GTC,
            post_only=True,
            expiration=1_795_165_200_999_999_999,
        )

    assert exchange.requests[0].url.path == "/trade-api/v2/portfolio/events/orders"
    assert exchange.sent == {
        "ticker": "M",
        "side": "ask",
        "count": "10.00",
        "price": "0.5600",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "client_order_id": "mine",
        "expiration_time": 1_795_165_200,
        "post_only": True,
    }
    assert (ack.order_id, ack.filled, ack.remaining) == ("o-1", 100, 900)
    assert (ack.average_price, ack.average_fee) == (5500, 17_400)


async def test_an_order_of_nothing_is_never_sent():
    exchange = Exchange((201, {}))

    async with client(exchange) as kalshi:
        with pytest.raises(OrderError):
            await kalshi.create_order("M", Side.BID, Price(1), Quantity(0), "mine")

    assert exchange.requests == []


async def test_names_are_quoted_in_paths():
    exchange = Exchange((404, {"error": {"code": "not_found", "message": "not found"}}))

    async with client(exchange) as kalshi:
        with pytest.raises(NotFound):
            await kalshi.get_market("A/../B?x")

    assert exchange.requests[0].url.raw_path == b"/trade-api/v2/markets/A%2F..%2FB%3Fx"


async def test_cancelling_one_order_and_all():
    exchange = Exchange((200, {"order_id": "o-1", "reduced_by": "9.00", "ts_ms": 5}), (204, b""))

    async with client(exchange) as kalshi:
        ack = await kalshi.cancel_order("o-1")
        await kalshi.cancel_all()

    assert (ack.order_id, ack.reduced_by, ack.ts_ms) == ("o-1", 900, 5)
    assert [(r.method, r.url.path.rsplit("/v2")[1]) for r in exchange.requests] == [
        ("DELETE", "/portfolio/events/orders/o-1"),
        ("DELETE", "/portfolio/events/orders"),
    ]


# --- pages -------------------------------------------------------------------------------------


async def test_cursors_are_followed_to_the_end():
    exchange = Exchange(
        (200, {"markets": [market("A"), market("B")], "cursor": "next"}),
        (200, {"markets": [market("C")], "cursor": ""}),
    )

    async with client(exchange) as kalshi:
        markets = await kalshi.get_markets(status="open")

    assert [one.ticker for one in markets] == ["A", "B", "C"]
    assert [request.url.params.get("cursor") for request in exchange.requests] == [None, "next"]
    assert {request.url.params["status"] for request in exchange.requests} == {"open"}


async def test_a_cursor_that_comes_back_ends_in_an_error_not_in_a_loop():
    exchange = Exchange(
        (200, {"orders": [], "cursor": "a"}),
        (200, {"orders": [], "cursor": "b"}),
        (200, {"orders": [], "cursor": "a"}),
    )

    async with client(exchange) as kalshi:
        with pytest.raises(ProtocolError, match="'a' came twice"):
            await kalshi.get_orders()


async def test_a_limit_stops_the_paging():
    exchange = Exchange((200, {"markets": [market("A"), market("B")], "cursor": "more"}))

    async with client(exchange) as kalshi:
        markets = await kalshi.get_markets(limit=1)

    assert [one.ticker for one in markets] == ["A"]
    assert len(exchange.requests) == 1


async def test_many_tickers_are_asked_for_in_several_requests():
    exchange = Exchange((200, {"markets": [], "cursor": ""}))

    async with client(exchange) as kalshi:
        await kalshi.get_markets(tickers=[f"T{n}" for n in range(250)])

    asked = [request.url.params["tickers"].split(",") for request in exchange.requests]
    assert [len(names) for names in asked] == [100, 100, 50]


async def test_no_tickers_are_no_markets():
    exchange = Exchange((200, {"markets": [market("A")], "cursor": ""}))

    async with client(exchange) as kalshi:
        assert await kalshi.get_markets(tickers=[]) == []


async def test_a_market_that_cannot_be_translated_is_left_out_and_logged():
    odd = market("B", price_ranges=[{"start": "0.5", "end": "1", "step": "0.01"}])
    exchange = Exchange((200, {"markets": [market("A"), odd], "cursor": ""}))

    with capture_logs() as logs:
        async with client(exchange) as kalshi:
            markets = await kalshi.get_markets()

    assert [one.ticker for one in markets] == ["A"]
    assert [(line["event"], line["ticker"]) for line in logs] == [("market_left_out", "B")]


# --- what is read ------------------------------------------------------------------------------


async def test_an_order_book_is_on_the_yes_scale_best_first():
    body = {
        "orderbook_fp": {
            "yes_dollars": [["0.4600", "1.00"], ["0.4700", "3.00"]],
            "no_dollars": [["0.4800", "2.00"]],
        }
    }

    async with client(Exchange((200, body))) as kalshi:
        bids, asks = await kalshi.get_orderbook("M")

    assert (bids, asks) == (((4700, 300), (4600, 100)), ((5200, 200),))


async def test_fee_terms_come_from_the_series_unless_the_event_overrides_them():
    def exchange(request):
        body = {
            "/events/E1": {"event": {"event_ticker": "E1", "series_ticker": "S"}},
            "/events/E2": {
                "event": {
                    "event_ticker": "E2",
                    "series_ticker": "S",
                    "fee_type_override": "quadratic_with_maker_fees",
                    "fee_multiplier_override": 0.1,
                }
            },
            "/series/S": {
                "series": {"ticker": "S", "fee_type": "quadratic", "fee_multiplier": 0.5}
            },
            "/markets": {
                "markets": [
                    market("A", event_ticker="E1"),
                    market("B", event_ticker="E1"),
                    market("C", event_ticker="E2"),
                ],
                "cursor": "",
            },
        }[request.url.path.removeprefix("/trade-api/v2")]
        asked.append(request.url.path)
        return httpx.Response(200, json=body)

    asked: list[str] = []
    async with client(exchange) as kalshi:
        markets = await kalshi.add_fee_terms(await kalshi.get_markets())

    terms = [(one.series_ticker, one.fees.fee_type, str(one.fees.multiplier)) for one in markets]
    assert terms == [
        ("S", FeeType.QUADRATIC, "1/2"),
        ("S", FeeType.QUADRATIC, "1/2"),
        ("S", FeeType.QUADRATIC_WITH_MAKER_FEES, "1/10"),
    ]
    assert len(asked) == 4


async def test_a_market_whose_fees_cannot_be_learnt_is_left_out_and_logged():
    def exchange(request):
        path = request.url.path.removeprefix("/trade-api/v2")
        if path == "/events/E1":
            return httpx.Response(200, json={"event": {"event_ticker": "E1", "series_ticker": "S"}})
        if path == "/series/S":
            terms = {"fee_type": "by the hour", "fee_multiplier": 1}
            return httpx.Response(200, json={"series": {"ticker": "S"} | terms})
        return httpx.Response(404, json=refusal("not_found"))

    markets = [Market("A", "E1", ""), Market("B", "E2", "")]
    with capture_logs() as logs:
        async with client(exchange) as kalshi:
            assert await kalshi.add_fee_terms(markets) == []

    assert [line["event_ticker"] for line in logs] == ["E1", "E2"]


async def test_the_portfolio_is_in_exact_units():
    bodies = {
        "/portfolio/balance": {
            "balance": 9801,
            "balance_dollars": "98.0186",
            "portfolio_value": 198,
        },
        "/portfolio/positions": {
            "market_positions": [
                {
                    "ticker": "M",
                    "position_fp": "-3.00",
                    "market_exposure_dollars": "2.500000",
                    "realized_pnl_dollars": "-0.100000",
                    "fees_paid_dollars": "0.018900",
                    "total_traded_dollars": "2.500000",
                }
            ],
            "event_positions": [],
            "cursor": "",
        },
        "/portfolio/orders/o-1": {
            "order": {
                "order_id": "o-1",
                "ticker": "M",
                "status": "canceled",
                "book_side": "ask",
                "yes_price_dollars": "0.5600",
                "fill_count_fp": "1.00",
                "remaining_count_fp": "0.00",
                "initial_count_fp": "10.00",
            }
        },
        "/portfolio/settlements": {
            "settlements": [
                {
                    "ticker": "M",
                    "market_result": "yes",
                    "yes_count_fp": "3.00",
                    "yes_total_cost_dollars": "1.560000",
                    "no_count_fp": "0.00",
                    "no_total_cost_dollars": "0.000000",
                    "revenue": 300,
                    "settled_time": "2026-11-20T09:00:00Z",
                    "fee_cost": "0.0189",
                    "value": 100,
                }
            ],
            "cursor": "",
        },
        "/markets/trades": {
            "trades": [
                {
                    "trade_id": "t",
                    "ticker": "M",
                    "count_fp": "7.77",
                    "yes_price_dollars": "0.0300",
                    "created_time": "2026-11-20T09:00:00Z",
                    "taker_book_side": "bid",
                }
            ],
            "cursor": "",
        },
    }

    def exchange(request):
        return httpx.Response(200, json=bodies[request.url.path.removeprefix("/trade-api/v2")])

    async with client(exchange) as kalshi:
        balance = await kalshi.get_balance()
        (position,) = await kalshi.get_positions()
        order = await kalshi.get_order("o-1")
        (settlement,) = await kalshi.get_settlements()
        (trade,) = await kalshi.get_trades(ticker="M")

    assert balance.available == 98_018_600
    assert (position.quantity, position.exposure, position.realised) == (-300, 2_500_000, -100_000)
    assert (order.state, order.side, order.filled) == (OrderState.CANCELLED, Side.ASK, 100)
    assert (settlement.value, settlement.revenue, settlement.fees) == (10_000, 3_000_000, 18_900)
    assert (trade.price, trade.quantity, trade.taker_side) == (300, 777, Side.BID)


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, b""), (200, {"orders": 5}), (200, b"\xff"), (200, b"[" * 100_000)],
)
async def test_an_answer_that_is_no_body_of_its_path_is_a_protocol_error(answer):
    async with client(Exchange(answer)) as kalshi:
        with pytest.raises(ProtocolError, match="/portfolio/orders"):
            await kalshi.get_orders()


async def test_a_body_that_cannot_be_translated_is_a_protocol_error():
    bad = market("M", status="dreaming")

    async with client(Exchange((200, {"market": bad}))) as kalshi:
        with pytest.raises(ProtocolError, match="dreaming"):
            await kalshi.get_market("M")


# --- reads that fail ---------------------------------------------------------------------------

STATUS_OK = (200, {"exchange_active": True, "trading_active": True})


@pytest.mark.parametrize(
    "failure",
    [
        HTML,
        (503, b""),
        (429, {"error": "too many requests"}),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
)
async def test_a_read_is_tried_again(failure):
    exchange = Exchange(failure, failure, STATUS_OK)

    async with client(exchange) as kalshi:
        await kalshi.get_exchange_status()

    assert len(exchange.requests) == 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (HTML, ExchangeUnavailable),
        ((429, {"error": "too many requests"}), RateLimited),
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.ReadTimeout("slow"), Unreachable),
    ],
)
async def test_a_read_gives_up_after_its_last_attempt(failure, error):
    exchange = Exchange(failure)

    async with client(exchange) as kalshi:
        with pytest.raises(error):
            await kalshi.get_exchange_status()

    assert len(exchange.requests) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {"error": {"code": "authentication_error", "message": "x"}}), Unauthorised),
        ((404, {"error": {"code": "not_found", "message": "not found"}}), NotFound),
        ((400, {"msg": "Parameter validation failed"}), RequestRejected),
        ((302, b""), RequestRejected),
    ],
)
async def test_a_read_that_was_refused_is_not_tried_again(answer, error):
    exchange = Exchange(answer)

    async with client(exchange) as kalshi:
        with pytest.raises(error):
            await kalshi.get_balance()

    assert len(exchange.requests) == 1


async def test_an_error_says_what_the_exchange_said():
    body = {"error": {"code": "header_timestamp_expired", "message": "header timestamp expired"}}

    async with client(Exchange((401, body))) as kalshi:
        with pytest.raises(Unauthorised, match="HTTP 401 header_timestamp_expired"):
            await kalshi.get_balance()


# --- mutations that fail -----------------------------------------------------------------------


async def place(exchange):
    async with client(exchange) as kalshi:
        return await kalshi.create_order("M", Side.BID, Price(5600), Quantity(1000), "mine")


@pytest.mark.parametrize(
    "failure",
    [
        HTML,
        (500, b""),
        (504, {"error": {"code": "timeout", "message": "x"}}),
        (408, b""),
        (302, b""),
        (201, b"<html>"),
        (201, {"order_id": "o-1", "fill_count": "many", "remaining_count": "1", "ts_ms": 1}),
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
    ],
)
async def test_an_order_whose_fate_is_not_known_is_never_sent_again(failure):
    exchange = Exchange(failure)

    with pytest.raises(UnknownOutcome):
        await place(exchange)

    assert len(exchange.requests) == 1


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")]
)
async def test_an_order_that_never_left_is_known_not_to_exist(failure):
    exchange = Exchange(failure)

    with pytest.raises(Unreachable):
        await place(exchange)

    assert len(exchange.requests) == 1


def refusal(code, message="", details=None):
    words = {"code": code, "message": message}
    return {"error": words if details is None else words | {"details": details}}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, refusal("insufficient_balance"), InsufficientBalance),
        (400, refusal("available_balance_too_low"), InsufficientBalance),
        (400, refusal("invalid_price"), InvalidPrice),
        (409, refusal("order_already_exists"), DuplicateClientOrderId),
        (400, refusal("invalid_order", "invalid order", "post only cross"), PostOnlyCross),
        (409, refusal("invalid_order", "fill_or_kill order would not be filled"), NotFillable),
        (400, refusal("MARKET_INACTIVE"), MarketInactive),
        (404, refusal("market_not_found"), NotFound),
        (410, refusal("deprecated_v1_order_endpoint"), OrderRejected),
        (400, {"code": "bad_request", "message": "bad", "details": "json: ..."}, OrderRejected),
        (400, {"msg": "Parameter validation failed"}, OrderRejected),
        (400, b"<html>", OrderRejected),
        (429, {"error": "too many requests"}, RateLimited),
        (401, refusal("authentication_error"), Unauthorised),
    ],
)
async def test_a_refused_order_has_its_own_error(status, body, error):
    exchange = Exchange((status, body))

    with pytest.raises(error) as refused:
        await place(exchange)

    assert type(refused.value) is error
    assert len(exchange.requests) == 1


async def test_a_refusal_keeps_the_exchanges_words():
    body = refusal("invalid_order", "invalid order", "post only cross")

    with pytest.raises(OrderRejected) as refused:
        await place(Exchange((400, body)))

    error = refused.value
    assert (error.status, error.code, error.message, error.details) == (
        400,
        "invalid_order",
        "invalid order",
        "post only cross",
    )


async def test_cancelling_what_has_ended_is_not_found():
    exchange = Exchange((404, refusal("not_found", "not found")))

    async with client(exchange) as kalshi:
        with pytest.raises(NotFound):
            await kalshi.cancel_order("o-1")


# --- pace --------------------------------------------------------------------------------------


async def test_requests_beyond_our_own_limit_wait(monkeypatch):
    waited: list[float] = []

    async def note(seconds):
        waited.append(seconds)

    monkeypatch.setattr("kalshiflow.exchange.rest.asyncio.sleep", note)
    limits = Limits(read_rate=10, read_capacity=10)

    async with client(Exchange(STATUS_OK), limits=limits) as kalshi:
        for _ in range(3):
            await kalshi.get_exchange_status()

    assert [round(seconds) for seconds in waited] == [1, 2]


# --- books, status, waits ------------------------------------------------------------------------


async def test_many_books_are_asked_for_a_hundred_at_a_time_each_ticker_on_its_own():
    book = {"yes_dollars": [["0.4700", "3.00"]], "no_dollars": [["0.4800", "2.00"]]}

    def exchange(request):
        asked.append(request.url.params.get_list("tickers"))
        found = [name for name in asked[-1] if name != "T7"]
        return httpx.Response(
            200, json={"orderbooks": [{"ticker": name, "orderbook_fp": book} for name in found]}
        )

    asked: list[list[str]] = []
    async with client(exchange) as kalshi:
        books = await kalshi.get_orderbooks([f"T{n}" for n in range(150)])

    assert [len(names) for names in asked] == [100, 50]
    assert len(books) == 149
    assert books["T149"] == (((4700, 300),), ((5200, 200),))


async def test_a_book_that_cannot_be_read_is_left_out_and_the_others_are_given():
    def exchange(_request):
        books = [
            {"ticker": name, "orderbook_fp": {"yes_dollars": [[price, "3.00"]], "no_dollars": []}}
            for name, price in (("A", "0.4700"), ("B", "cheap"))
        ]
        return httpx.Response(200, json={"orderbooks": books})

    async with client(exchange) as kalshi:
        assert await kalshi.get_orderbooks(["A", "B"]) == {"A": (((4700, 300),), ())}


async def test_the_status_tells_when_the_exchange_hopes_to_be_back():
    body = {
        "exchange_active": False,
        "trading_active": False,
        "exchange_estimated_resume_time": "2026-11-20T10:00:00Z",
    }

    async with client(Exchange((200, body))) as kalshi:
        status = await kalshi.get_exchange_status()

    assert not status.exchange_active
    assert status.resumes_at == 1_795_168_800 * 10**9


@pytest.mark.parametrize(("told", "seconds"), [("7", 7), ("Fri, 20 Nov 2026", None), ("²", None)])
async def test_a_refusal_carries_how_long_to_wait(told, seconds):
    def exchange(request):
        return httpx.Response(429, headers=[(b"Retry-After", told.encode("latin-1"))])

    async with client(exchange, retries=Retries(attempts=1)) as kalshi:
        with pytest.raises(RateLimited) as refused:
            await kalshi.get_exchange_status()

    assert refused.value.retry_after == seconds


async def test_a_wait_that_is_asked_for_is_kept_up_to_our_own_cap():
    def exchange(request):
        times.append(time.monotonic())
        return httpx.Response(429, headers={"Retry-After": "3600"})

    times: list[float] = []
    async with client(exchange, retries=Retries(attempts=2, initial=0.0, cap=0.05)) as kalshi:
        with pytest.raises(RateLimited):
            await kalshi.get_exchange_status()

    assert 0.05 <= times[1] - times[0] < 1


async def test_dates_of_answers_tell_the_clocks_offset_but_not_those_of_a_cache():
    def exchange(request):
        headers = {"Date": "Fri, 20 Nov 2026 10:00:00 GMT"}
        if request.url.path.endswith("/balance"):
            headers = {"Date": "Fri, 20 Nov 2026 09:00:00 GMT", "Age": "3600"}
        body = {"exchange_active": True, "trading_active": True, "balance": 1}
        return httpx.Response(200, json=body, headers=headers)

    async with client(exchange, now_ms=lambda: 1_795_168_790_000) as kalshi:
        before = kalshi.clock_offset
        await kalshi.get_exchange_status()
        await kalshi.get_balance()

    assert before is None
    assert kalshi.clock_offset.seconds == pytest.approx(11, abs=0.01)
    assert kalshi.clock_offset.uncertainty == pytest.approx(1e9, abs=1e7)
