"""Frames and commands on the wire: what is written, and what is left out."""

import msgspec
import pytest

from kalshiflow.exchange.messages import (
    DeltaBody,
    DeltaFrame,
    ErrorBody,
    ErrorFrame,
    ListSubscriptions,
    OkFrame,
    SnapshotBody,
    SnapshotFrame,
    Subscribe,
    SubscribedFrame,
    SubscribeParams,
    SubscriptionBody,
    TickersBody,
    Unsubscribe,
    UnsubscribedFrame,
    UnsubscribeParams,
    UpdateParams,
    UpdateSubscription,
    decode_command,
    decode_frame,
    encode,
)


@pytest.mark.parametrize(
    ("command", "raw"),
    [
        (
            Subscribe(
                1,
                SubscribeParams(["orderbook_delta"], market_tickers=["M"], use_yes_price=False),
            ),
            (
                b'{"cmd":"subscribe","id":1,"params":{"channels":["orderbook_delta"],'
                b'"market_tickers":["M"],"use_yes_price":false}}'
            ),
        ),
        (
            UpdateSubscription(3, UpdateParams("add_markets", sid=1, market_tickers=["M"])),
            (
                b'{"cmd":"update_subscription","id":3,"params":{"action":"add_markets","sid":1,'
                b'"market_tickers":["M"]}}'
            ),
        ),
        (
            Unsubscribe(7, UnsubscribeParams([1, 2])),
            b'{"cmd":"unsubscribe","id":7,"params":{"sids":[1,2]}}',
        ),
        (ListSubscriptions(6), b'{"cmd":"list_subscriptions","id":6}'),
    ],
)
def test_a_command_is_written_and_read_alike(command, raw):
    assert encode(command) == raw
    assert decode_command(raw) == command


@pytest.mark.parametrize(
    ("frame", "raw"),
    [
        (
            SubscribedFrame(id=1, msg=SubscriptionBody("trade", 2)),
            b'{"type":"subscribed","id":1,"msg":{"channel":"trade","sid":2}}',
        ),
        (
            OkFrame(id=3, sid=1, seq=4, msg=TickersBody(["A", "B"])),
            b'{"type":"ok","id":3,"sid":1,"seq":4,"msg":{"market_tickers":["A","B"]}}',
        ),
        (
            OkFrame(id=6, msg=[SubscriptionBody("trade", 2)]),
            b'{"type":"ok","id":6,"msg":[{"channel":"trade","sid":2}]}',
        ),
        (UnsubscribedFrame(id=7, sid=1, seq=9), b'{"type":"unsubscribed","id":7,"sid":1,"seq":9}'),
        (
            ErrorFrame(id=8, msg=ErrorBody(7, "Unknown subscription ID")),
            b'{"type":"error","id":8,"msg":{"code":7,"msg":"Unknown subscription ID"}}',
        ),
        (
            SnapshotFrame(sid=1, seq=2, msg=SnapshotBody("M", "u", [("0.0800", "300.00")])),
            (
                b'{"type":"orderbook_snapshot","sid":1,"seq":2,"msg":{"market_ticker":"M",'
                b'"market_id":"u","yes_dollars_fp":[["0.0800","300.00"]]}}'
            ),
        ),
        (
            DeltaFrame(
                sid=1,
                seq=3,
                msg=DeltaBody(
                    market_ticker="M", price_dollars="0.2200", delta_fp="-54.00", side="yes"
                ),
            ),
            (
                b'{"type":"orderbook_delta","sid":1,"seq":3,"msg":{"market_ticker":"M",'
                b'"price_dollars":"0.2200","delta_fp":"-54.00","side":"yes"}}'
            ),
        ),
    ],
)
def test_a_frame_is_written_and_read_alike(frame, raw):
    assert encode(frame) == raw
    assert decode_frame(raw) == frame


def test_a_command_without_its_params_can_still_be_read_to_be_refused():
    assert decode_command(b'{"id":1,"cmd":"subscribe"}') == Subscribe(1)


@pytest.mark.parametrize("raw", [b"{}", b'{"cmd":"dance","id":1}', b"no json"])
def test_what_is_no_command_is_refused(raw):
    with pytest.raises(msgspec.DecodeError):
        decode_command(raw)
