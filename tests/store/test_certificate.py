"""What counted facts prove: the certificate as a pure function."""

from dataclasses import replace

import pytest

from kalshiflow.store.certificate import (
    SessionFacts,
    SidFacts,
    certify,
    from_json,
    recovery_time,
    to_json,
)
from kalshiflow.store.replay import Gap

WHOLE = SessionFacts(
    session_id="s",
    markets=("A", "B"),
    frames=10,
    distinct_frames=10,
    first_frame=1,
    last_frame=10,
    counts={
        "deltas": 7,
        "snapshots": 2,
        "trades": 0,
        "lifecycle": 0,
        "other_frames": 1,
        "seam_snapshots": 0,
    },
    sids=(SidFacts(1, "orderbook_delta", 9, 9, 1, 9),),
    first_seqs={},
    gaps=(),
    snapshots=((2, "A", 1_000), (3, "B", 2_000)),
    first_received_at=0,
    last_received_at=10_000,
    first_market_time=0,
    last_market_time=10_000,
)
MISSING = Gap(
    frame_no=6,
    kind="missing",
    tickers=("A", "B"),
    reason="expected seq 5, received 6",
    started_at=5_000,
    sid=1,
    expected=5,
    received=6,
)
HOLED = replace(
    WHOLE,
    frames=9,
    distinct_frames=9,
    last_frame=9,
    sids=(SidFacts(1, "orderbook_delta", 8, 8, 1, 9, missing=((5, 5),)),),
    gaps=(MISSING,),
)


def test_a_whole_session_is_ok():
    certificate = certify(WHOLE, "hash")

    assert (certificate.verdict, certificate.reason, certificate.whole) == ("ok", "", True)
    assert certificate.sequences[0].finding == "whole"
    assert certificate.coverage == {"A": 0.9, "B": 0.8}


def test_a_certificate_comes_back_equal_from_json():
    certificate = certify(HOLED, "hash")

    assert from_json(to_json(certificate)) == certificate


@pytest.mark.parametrize(
    "damage",
    [
        {"last_frame": 11},
        {"first_frame": 2, "last_frame": 11},
        {"distinct_frames": 9},
        {"frames": 0, "distinct_frames": 0, "first_frame": None, "last_frame": None},
    ],
)
def test_frame_numbers_that_are_not_exactly_one_to_n_fail(damage):
    certificate = certify(replace(WHOLE, **damage), "hash")

    assert (certificate.whole, certificate.verdict) == (False, "failed")
    assert "frames are numbered" in certificate.reason


def test_a_gap_with_its_row_is_a_verdict_of_gaps_that_names_the_missing_numbers():
    certificate = certify(HOLED, "hash")

    assert certificate.verdict == "gaps"
    assert certificate.reason.startswith("sid 1 (orderbook_delta) misses 5")
    assert certificate.sequences[0].finding == "whole but for its gaps"
    assert (certificate.gaps, certificate.missing_frames, certificate.unrecovered) == (1, 1, 1)


def test_a_missing_number_without_a_gap_row_fails():
    certificate = certify(replace(HOLED, gaps=()), "hash")

    assert certificate.verdict == "failed"
    assert certificate.sequences[0].finding == "broken"


def test_a_subscription_whose_first_numbers_never_came_fails_without_a_gap_row():
    sids = (SidFacts(1, "orderbook_delta", 9, 9, 3, 11),)

    certificate = certify(replace(WHOLE, sids=sids), "hash")

    assert certificate.verdict == "failed"
    assert certificate.sequences[0].missing == ((1, 2),)


def test_after_a_rotation_a_subscription_begins_where_it_stood():
    sids = (SidFacts(1, "orderbook_delta", 9, 9, 41, 49),)

    certificate = certify(replace(WHOLE, sids=sids, first_seqs={1: 41}), "hash")

    assert certificate.verdict == "ok"


def test_a_repeated_number_needs_its_gap_row_too():
    sids = (SidFacts(1, "orderbook_delta", 9, 9, 1, 8, repeated=1),)
    told = replace(MISSING, reason="expected seq 9, received 4", expected=9, received=4)

    assert certify(replace(WHOLE, sids=sids), "hash").verdict == "failed"
    assert certify(replace(WHOLE, sids=sids, gaps=(told,)), "hash").verdict == "gaps"


def test_frames_without_numbers_cannot_be_proven_and_the_reason_says_so():
    sids = (SidFacts(None, "orderbook_delta", 9, 0),)

    certificate = certify(replace(WHOLE, sids=sids), "hash")

    assert certificate.verdict == "ok"
    assert certificate.sequences[0].finding == "cannot be proven"
    assert "no sequence numbers" in certificate.reason


def test_a_market_without_a_snapshot_is_named():
    certificate = certify(replace(WHOLE, snapshots=((2, "A", 1_000),)), "hash")

    assert certificate.verdict == "gaps"
    assert certificate.without_snapshot == ("B",)
    assert "B" in certificate.reason


def test_rows_that_cannot_be_replayed_fail():
    certificate = certify(WHOLE, None, "A bid 0.5000: size would be -1.00")

    assert certificate.verdict == "failed"
    assert "size would be -1.00" in certificate.reason


def test_a_gap_is_mended_when_each_of_its_markets_has_a_snapshot_again():
    before = ((2, "A", 1_000), (3, "B", 2_000))

    assert recovery_time(MISSING, before) is None
    assert recovery_time(MISSING, (*before, (6, "A", 6_000))) is None
    assert recovery_time(MISSING, (*before, (6, "A", 6_000), (8, "B", 8_000))) == 8_000


def test_coverage_leaves_out_the_time_from_a_gap_to_the_next_snapshot():
    facts = replace(HOLED, snapshots=(*HOLED.snapshots, (7, "A", 7_000)))

    certificate = certify(facts, "hash")

    # A: known 1000..5000 and 7000..10000; B: known 2000..5000.
    assert certificate.coverage == {"A": 0.7, "B": 0.3}


def test_a_gap_among_trades_leaves_the_books_trusted():
    trades = replace(MISSING, sid=2, channel="trade")
    sids = (*WHOLE.sids, SidFacts(2, "trade", 3, 3, 1, 9, missing=((5, 5),)))

    certificate = certify(replace(WHOLE, sids=sids, gaps=(trades,)), "hash")

    assert (certificate.verdict, certificate.unrecovered) == ("gaps", 0)
    assert certificate.coverage == {"A": 0.9, "B": 0.8}
