"""What the checks of a session say, from certificates."""

from dataclasses import replace

import pytest

from kalshiflow.store.certificate import Certificate, from_json, to_json
from pipelines.defs.checks import (
    BOOKS_ARE_POSSIBLE,
    IS_WHOLE,
    REPLAYS_EQUAL,
    as_told,
    troubles,
)

GOOD = Certificate(
    session_id="s",
    frames=3,
    first_frame=1,
    last_frame=3,
    whole=True,
    snapshots=1,
    seam_snapshots=0,
    deltas=2,
    trades=0,
    lifecycle=0,
    other_frames=0,
    bad_frames=0,
    gaps=0,
    missing_frames=0,
    unrecovered=0,
    markets=1,
    without_snapshot=(),
    coverage={"A": 1.0},
    sequences=(),
    first_received_at=1,
    last_received_at=3,
    first_market_time=1,
    last_market_time=3,
    books_sha256="aa",
    verdict="ok",
    reason="",
)


def test_a_session_whose_rows_prove_its_certificate_has_no_trouble():
    assert troubles(GOOD, GOOD) == {IS_WHOLE: None, BOOKS_ARE_POSSIBLE: None, REPLAYS_EQUAL: None}


def test_a_session_with_gaps_is_usable():
    gaps = replace(GOOD, verdict="gaps", reason="1 gap (sid 1 missing 4)", gaps=1)

    assert troubles(gaps, gaps)[IS_WHOLE] is None


def test_a_failed_session_is_refused_with_its_own_reason():
    failed = replace(
        GOOD, whole=False, verdict="failed", reason="frame numbers are 1..3, 2 of them"
    )

    assert troubles(failed, failed)[IS_WHOLE] == "frame numbers are 1..3, 2 of them"


def test_rows_that_are_not_what_the_certificate_counted_are_told_by_name():
    proven = replace(GOOD, deltas=1)

    assert troubles(GOOD, proven)[IS_WHOLE] == (
        "the rows are not what the certificate says: deltas was 2, is 1"
    )


def test_rows_that_cannot_be_replayed_are_impossible_books():
    reason = "the rows cannot be replayed: A bid 0.5000: size would be -1.00"
    proven = replace(GOOD, books_sha256=None, verdict="failed", reason=reason)

    assert troubles(GOOD, proven)[BOOKS_ARE_POSSIBLE] == reason


def test_books_that_end_otherwise_than_the_recorders_are_told():
    found = troubles(GOOD, replace(GOOD, books_sha256="bb"))

    assert found[IS_WHOLE] is None
    assert found[REPLAYS_EQUAL] == "the recorder's books ended as aa, the rows' end as bb"


@pytest.mark.parametrize("check", [IS_WHOLE, BOOKS_ARE_POSSIBLE, REPLAYS_EQUAL])
def test_a_session_that_was_never_closed_fails_every_check(check):
    assert troubles(None, GOOD)[check] is not None


def test_what_a_certificate_of_old_did_not_speak_of_is_no_difference():
    told = {name: value for name, value in to_json(GOOD).items() if name != "audits"}
    proven = replace(GOOD, audits={"agrees": 3})

    assert troubles(from_json(told), as_told(proven, told))[IS_WHOLE] is None
    assert troubles(GOOD, as_told(proven, to_json(GOOD)))[IS_WHOLE] is not None
    assert as_told(proven, None) == proven
