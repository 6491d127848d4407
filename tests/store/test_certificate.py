"""What counted facts prove: the certificate as a pure function."""

from dataclasses import MISSING as MISSING_VALUE
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.store.certificate import Certificate, Recovery, from_json, pruned, to_json
from kalshiflow.store.replay import Gap
from kalshiflow.store.timeline import ListingAt, Snapshots, follow, recovery_time
from kalshiflow.store.verdict import SessionFacts, SidFacts, certify

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

    assert recovery_time(MISSING, Snapshots(before)) is None
    assert recovery_time(MISSING, Snapshots((*before, (6, "A", 6_000)))) is None
    mended = Snapshots((*before, (6, "A", 6_000), (8, "B", 8_000)))
    assert recovery_time(MISSING, mended) == 8_000


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


def test_a_market_is_judged_over_the_time_for_which_it_was_followed():
    facts = replace(
        WHOLE,
        markets=("A", "B", "C"),
        snapshots=((2, "A", 1_000), (3, "B", 2_000), (7, "C", 6_000)),
        listings=(
            ListingAt(0, "A", "begun", 0),
            ListingAt(0, "B", "begun", 0),
            ListingAt(6, "C", "joined", 5_000),
            ListingAt(8, "B", "released", 7_000),
        ),
    )

    certificate = certify(facts, "hash")

    # A: 1000 of 10000 without a book; B: 2000 of 7000; C: 1000 of the 5000 since it joined.
    assert certificate.coverage == {"A": 0.9, "B": 0.714286, "C": 0.8}
    assert certificate.stale_seconds == {"A": 1e-6, "B": 2e-6, "C": 1e-6}
    assert certificate.total_stale_seconds == 4e-6
    assert (certificate.joined, certificate.released) == (("C",), ("B",))
    assert certificate.verdict == "ok"


def test_a_market_that_left_and_came_back_is_stale_until_its_next_snapshot():
    facts = replace(
        WHOLE,
        markets=("A",),
        snapshots=((2, "A", 0), (9, "A", 9_000)),
        listings=(
            ListingAt(4, "A", "released", 4_000),
            ListingAt(7, "A", "joined", 8_000),
        ),
    )

    # Followed 0..4000 and 8000..10000, trusted 0..4000 and 9000..10000.
    assert certify(facts, "hash").coverage == {"A": 0.833333}


def test_a_book_that_could_not_follow_its_price_grid_is_stale_from_there():
    grid = Gap(6, "grid", ("A",), "its book does not fit its new price grid", 6_000)
    facts = replace(WHOLE, snapshots=(*WHOLE.snapshots, (8, "A", 8_000)), gaps=(grid,))

    certificate = certify(facts, "hash")

    assert (certificate.verdict, certificate.grid_gaps) == ("gaps", 1)
    assert certificate.coverage["A"] == 0.7
    assert certificate.recoveries == (Recovery(6, "grid", 1, 2e-6),)
    assert certificate.slowest_recovery == 2e-6


def test_frames_that_would_have_crossed_a_book_are_counted():
    reasons = (
        "A: bid 0.6000 crosses the book 0.4000 / 0.6000",
        "A: snapshot with bid 0.6000 at or above ask 0.5000",
        "A bid 0.4000: size would be -1.00",
    )
    gaps = tuple(
        Gap(frame_no, "bad_frame", ("A",), reason, 1_000)
        for frame_no, reason in enumerate(reasons, 4)
    )

    certificate = certify(replace(WHOLE, gaps=gaps), "hash")

    assert (certificate.bad_frames, certificate.crossed) == (3, 2)
    assert certify(WHOLE, None, reasons[0]).crossed == 1


def test_outages_are_counted_and_their_time_told():
    gaps = (Gap(0, "outage", ("A",), "not connected", 10**9, recovered_at=3 * 10**9),)

    certificate = certify(replace(WHOLE, gaps=gaps), "hash")

    assert (certificate.outages, certificate.outage_seconds) == (1, 2.0)
    assert certificate.verdict == "ok"


def test_an_outage_in_which_our_clock_was_set_back_is_counted_and_has_no_time():
    gaps = (Gap(0, "outage", ("A",), "not connected", 3 * 10**9, recovered_at=10**9),)

    certificate = certify(replace(WHOLE, gaps=gaps), "hash")

    assert (certificate.outages, certificate.outage_seconds) == (1, 0.0)


def test_a_gap_of_unknown_size_is_told_as_such():
    gap = Gap(5, "missing", ("A",), "not followed for a while", 5_000)

    certificate = certify(replace(WHOLE, gaps=(gap,)), "hash")

    assert certificate.verdict == "gaps"
    assert certificate.reason.startswith("1 gaps of unknown size")
    assert certificate.missing_frames == 0


def test_what_cannot_be_known_stands_in_the_certificate():
    facts = replace(WHOLE, cannot_know=("receive times",), status="repaired", ages=(5, 9))

    certificate = certify(facts, "hash")

    assert certificate.cannot_know == ("receive times",)
    assert certificate.status == "repaired"
    assert (certificate.message_age_p50, certificate.message_age_p99) == (5, 9)


def test_a_certificate_of_old_is_read_without_what_it_did_not_tell():
    stored = to_json(certify(HOLED, "hash"))
    newer = {f.name for f in fields(Certificate) if not is_required(f)}

    old = from_json({name: value for name, value in stored.items() if name not in newer})

    assert old.verdict == "gaps"
    assert (old.status, old.outages, old.stale_seconds) == ("closed", 0, {})


def is_required(field) -> bool:
    return field.default is MISSING_VALUE and field.default_factory is MISSING_VALUE


def test_a_pruned_certificate_says_what_went_and_what_it_was_before():
    before = certify(HOLED, "hash")

    after = pruned(before, "its rows were removed by retention")

    assert after.verdict == "pruned"
    assert after.reason == f"its rows were removed by retention; before, gaps: {before.reason}"
    assert replace(after, verdict="gaps", reason=before.reason) == before


GAPS = st.builds(
    lambda frame, at, tickers: Gap(frame, "missing", tuple(sorted(tickers)), "", at),
    st.integers(1, 50),
    st.integers(0, 10_000),
    st.sets(st.sampled_from("AB")),
)
LISTINGS = st.builds(
    ListingAt,
    st.integers(0, 50),
    st.sampled_from("AB"),
    st.sampled_from(("begun", "joined", "released")),
    st.integers(-100, 11_000),
)
SNAPSHOTS = st.tuples(st.integers(0, 50), st.sampled_from("AB"), st.integers(-100, 11_000))


@given(st.lists(GAPS, max_size=5), st.lists(LISTINGS, max_size=5), st.lists(SNAPSHOTS, max_size=8))
def test_followed_and_trusted_times_never_exceed_the_sessions(gaps, listings, snapshots):
    listings.sort(key=lambda one: one.at)
    found = follow(("A", "B"), listings, Snapshots(sorted(snapshots)), gaps, 0, 10_000)

    for one in found.values():
        assert 0 <= one.trusted <= one.time <= 10_000
        assert 0 <= one.coverage <= 1
