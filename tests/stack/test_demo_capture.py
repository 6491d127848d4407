"""What the demo knows of a capture, counted in the plainest way."""

import pytest

from kalshiflow.stack.demo_capture import read_facts


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "deltas", "markets", "seconds"),
    [
        ("kalshi-demo-ws-2026-07/session.jsonl", 2_885, 5, 315),
        ("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl", 35_898, 1, 23_388),
    ],
)
def test_a_recording_is_counted(recorded_data, name, deltas, markets, seconds):
    facts = read_facts(recorded_data / name)

    assert (facts.deltas, len(facts.books)) == (deltas, markets)
    assert facts.seconds(1) == pytest.approx(seconds, abs=1)
    assert all(size > 0 for book in facts.books.values() for size in book.values())
