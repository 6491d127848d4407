"""The written rule: who becomes champion, who goes in unproven, who is refused, and why."""

import json

import pytest

from kalshiflow.learning.evaluate import Evaluation, SegmentResult
from kalshiflow.learning.promotion import Candidate, VerdictKind, judge
from kalshiflow.market.units import Cash

WINNING = (3, 5, 4, 6, 2, 5, 4, 3, 5, 6)
LOSING = tuple(-gain for gain in WINNING)
UNSURE = (9, -8, 7, -6, 8, -9, 6, -5, 9, -8)


def evaluation(gains, name="x"):
    results = tuple(
        SegmentResult(f"T{n}", "s", 0, 1, Cash(gain * 1_000_000), Cash(100), 2, 10, 0)
        for n, gain in enumerate(gains)
    )
    return Evaluation(name, results, (60, 40, 0, 0, 0))


def candidate(version, gains, *failed):
    return Candidate(version, evaluation(gains, version), failed)


def test_beating_hold_makes_the_first_champion():
    verdict = judge([candidate("a", WINNING)], None)
    assert (verdict.kind, verdict.version) == (VerdictKind.CHAMPION, "a")
    assert verdict.is_promoted


@pytest.mark.parametrize("gains", [LOSING, UNSURE, (0,) * 10])
def test_with_no_champion_the_best_sound_candidate_goes_in_unproven(gains):
    verdict = judge([candidate("a", gains)], None)
    assert verdict.kind is VerdictKind.BOOTSTRAP
    assert verdict.is_promoted
    assert any("unproven" in reason for reason in verdict.reasons)


def test_the_best_of_several_is_judged():
    verdict = judge([candidate("a", LOSING), candidate("b", WINNING), candidate("c", UNSURE)], None)
    assert (verdict.kind, verdict.version) == (VerdictKind.CHAMPION, "b")


def test_comparing_more_candidates_asks_for_more():
    slight = (3, -1, 2, -1, 3, 0, 2, 0, 3, 1)
    alone = judge([candidate("a", slight)], None)
    among = judge([candidate("a", slight)] + [candidate(f"{n}", LOSING) for n in range(60)], None)
    assert alone.kind is VerdictKind.CHAMPION
    assert among.kind is VerdictKind.BOOTSTRAP


def test_a_champion_stays_unless_it_is_beaten_market_by_market():
    champion = evaluation(WINNING, "old")
    assert judge([candidate("a", WINNING)], champion).kind is VerdictKind.REFUSED
    assert judge([candidate("a", UNSURE)], champion).kind is VerdictKind.REFUSED
    better = [gain + 1 for gain in WINNING]
    verdict = judge([candidate("a", better)], champion)
    assert verdict.kind is VerdictKind.CHAMPION
    assert verdict.against_champion.mean == pytest.approx(1.0)


def test_losing_less_than_a_losing_champion_is_not_enough():
    verdict = judge([candidate("a", [g + 1 for g in LOSING])], evaluation(LOSING, "old"))
    assert verdict.kind is VerdictKind.REFUSED


def test_a_candidate_that_fails_a_gate_is_out_however_well_it_did():
    verdict = judge(
        [candidate("a", WINNING, "it takes one action only"), candidate("b", LOSING)], None
    )
    assert (verdict.kind, verdict.version) == (VerdictKind.BOOTSTRAP, "b")
    assert any("one action only" in reason for reason in verdict.reasons)


def test_nothing_sound_nothing_promoted():
    rejected = Candidate("a", None, ("model.onnx has another sha256",))
    verdict = judge([rejected], None)
    assert (verdict.kind, verdict.version) == (VerdictKind.REFUSED, None)
    assert "another sha256" in verdict.table


def test_too_few_markets_prove_nothing():
    assert judge([candidate("a", WINNING[:3])], None).kind is VerdictKind.BOOTSTRAP


def test_the_table_shows_losses_and_the_verdict_is_plain():
    verdict = judge([candidate("a", LOSING)], evaluation(WINNING, "old"), [evaluation((0,) * 10)])
    assert "-43.00" in verdict.table
    assert "champion (old)" in verdict.table
    assert json.loads(json.dumps(verdict.to_json()))["kind"] == "refused"
