"""Recordings: three forms read, our own written."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.capture import (
    CapturedFrame,
    CaptureError,
    CaptureWriter,
    capture_span,
    capture_tickers,
    coarsest_grid,
    has_receive_times,
    read_capture,
    told_price_scale,
    uses_yes_price,
)

SNAPSHOT = b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"M"}}'

JSONS = (SNAPSHOT, b" " + SNAPSHOT, SNAPSHOT + b"\t", SNAPSHOT + b"\r\n")


def delta(seq, ts_ms, ticker="M"):
    body = {
        "market_ticker": ticker,
        "price_dollars": "0.2200",
        "delta_fp": "1.00",
        "side": "yes",
        "ts_ms": ts_ms,
    }
    frame = {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}
    return json.dumps(frame, separators=(",", ":")).encode()


@given(st.lists(st.tuples(st.binary(max_size=40) | st.sampled_from(JSONS), st.integers(0, 2**62))))
def test_our_own_form_gives_back_every_byte_and_time(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("capture") / "own.jsonl"
    with CaptureWriter(path) as writer:
        for raw, at in frames:
            writer.write(raw, at)

    assert list(read_capture(path)) == [CapturedFrame(raw, at) for raw, at in frames]


def test_frames_that_are_json_are_readable_in_our_own_form(tmp_path):
    path = tmp_path / "own.jsonl"
    with CaptureWriter(path, uses_yes_price=True) as writer:
        writer.write(SNAPSHOT, 7)
        writer.write(b"\xff", 8)

    lines = path.read_bytes().splitlines()
    assert json.loads(lines[0]) == {"capture": 1, "uses_yes_price": True}
    assert lines[1] == b'{"received_at":7,"frame":' + SNAPSHOT + b"}"
    assert json.loads(lines[2]) == {"received_at": 8, "bytes": base64.b64encode(b"\xff").decode()}


@pytest.mark.parametrize("scale", [True, False])
def test_our_own_form_says_on_which_scale_its_no_levels_are(tmp_path, scale):
    path = tmp_path / "own.jsonl"
    CaptureWriter(path, uses_yes_price=scale).close()

    assert uses_yes_price(path) is scale


def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "own.jsonl"
    CaptureWriter(path).close()

    with pytest.raises(FileExistsError):
        CaptureWriter(path)


def test_bare_frames_take_their_exchange_time_and_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "session.jsonl"
    frames = [SNAPSHOT, delta(2, 5), SNAPSHOT, delta(3, 9, "N")]
    path.write_bytes(b"\n\n".join(frames) + b"\n\n")

    read = list(read_capture(path))

    assert [frame.raw for frame in read] == frames
    assert [frame.received_at for frame in read] == [5_000_000, 5_000_000, 5_000_000, 9_000_000]
    assert capture_span(path) == (5_000_000, 9_000_000)
    assert capture_tickers(path) == ["M", "N"]
    assert not uses_yes_price(path)


def test_the_form_of_2023_gives_the_frame_alone_and_its_receive_time(tmp_path):
    path = tmp_path / "day.jsonl"
    path.write_text(
        '{"recv_ts":"2023-08-31T09:30:11.177187-04:00","type":"orderbook_snapshot",'
        '"msg":{"market_ticker":"M","yes":[[11,135]]},"chunk":1,"chunk_boundary":true}\n'
    )

    (frame,) = read_capture(path)

    assert (
        frame.raw == b'{"type":"orderbook_snapshot","msg":{"market_ticker":"M","yes":[[11,135]]}}'
    )
    assert frame.received_at == 1_693_488_611_177_187_000


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"what": "is this"}',
        '{"received_at": 5}',
        '{"capture": 99}',
        '{"recv_ts": "yesterday", "type": "orderbook_delta", "msg": {}}',
        '{"type":"orderbook_snapshot","msg":{"market_ticker":"M"}}',  # no time anywhere
    ],
)
def test_a_line_that_no_form_explains_is_refused_with_the_files_name(tmp_path, text):
    path = tmp_path / "odd.jsonl"
    path.write_text(text + "\n")

    with pytest.raises(CaptureError, match=r"odd\.jsonl"):
        list(read_capture(path))


def test_an_empty_recording_has_no_span(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")

    assert list(read_capture(path)) == []
    with pytest.raises(CaptureError, match="no frames"):
        capture_span(path)


def test_lines_of_no_form_can_be_kept_as_frames_with_the_time_of_the_one_before(tmp_path):
    path = tmp_path / "odd.jsonl"
    odd = b"what is this?"
    path.write_bytes(b"\n".join([odd, SNAPSHOT, delta(2, 5), b'{"a":1}', delta(3, 7), odd]))

    kept = list(read_capture(path, keeps_bad=True))

    assert [frame.raw for frame in kept] == [
        *(odd, SNAPSHOT, delta(2, 5), b'{"a":1}', delta(3, 7), odd)
    ]
    assert [frame.received_at for frame in kept] == [5_000_000] * 4 + [7_000_000] * 2
    with pytest.raises(CaptureError):
        list(read_capture(path))


def test_a_recording_says_whether_it_has_receive_times_and_which_price_scale(tmp_path):
    own, stamped, bare = (tmp_path / name for name in ("own", "stamped", "bare"))
    with CaptureWriter(own, uses_yes_price=True) as writer:
        writer.write(SNAPSHOT, 7)
    stamped.write_text('{"recv_ts":"2023-08-31T09:30:11-04:00","type":"trade","msg":{}}')
    bare.write_bytes(SNAPSHOT)

    assert [has_receive_times(path) for path in (own, stamped, bare)] == [True, True, False]
    assert [told_price_scale(path) for path in (own, stamped, bare)] == [True, None, None]


@pytest.mark.parametrize(
    ("prices", "step"), [((), 100), ((100, 9_900), 100), ((100, 4_010), 10), ((4_013,), 1)]
)
def test_the_coarsest_grid_that_holds_all_prices_is_taken(prices, step):
    grid = coarsest_grid(prices)

    assert grid.bands[0].step == step
    assert all(price in grid for price in prices)
