"""Which sessions are refused, and why."""

from dataclasses import replace

import pytest

from kalshiflow.store.read import SessionRow
from pipelines.recordings import refusal_in, refusal_of

ROW = SessionRow(
    session_id="s",
    origin="collector",
    environment="local",
    traded=False,
    status="closed",
    started_at=0,
    ended_at=9,
    close_seq=1,
    markets=("A", "B"),
    follows=None,
    frames=4,
    verdict="ok",
    verdict_reason="",
    end_reason="rotation",
    certificate=None,
)


@pytest.mark.parametrize("verdict", ["ok", "gaps"])
def test_whole_sessions_and_those_cut_at_their_gaps_are_learned_from(verdict):
    assert refusal_of(replace(ROW, verdict=verdict)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"verdict": "failed", "verdict_reason": "no market has a snapshot"},
            "its verdict is failed: no market has a snapshot",
        ),
        ({"verdict": None, "status": "active"}, "it is active and has no verdict yet"),
        ({"traded": True}, "our own trader took part in it"),
        ({"origin": "trader"}, "our own trader took part in it"),
    ],
)
def test_other_sessions_are_refused_with_the_reason(changes, reason):
    assert refusal_of(replace(ROW, **changes)) == reason


def test_a_session_of_another_exchange_teaches_nothing_about_this_one():
    assert refusal_in(ROW, "local") is None
    assert refusal_in(ROW, "paper") == "it was recorded on local, the policy is for paper"
