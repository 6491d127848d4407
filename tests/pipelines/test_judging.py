"""Reports of evaluations, and what is stored of a verdict."""

import json
from dataclasses import replace

import pytest

from kalshiflow.learning.evaluate import Evaluation, SegmentResult
from kalshiflow.learning.promotion import Candidate, VerdictKind
from kalshiflow.market.units import Cash
from pipelines.defs.promotion import stored_verdict
from pipelines.judging import Report, report_from_json, report_to_json


def evaluation(name: str, dollars: float, markets: int = 8) -> Evaluation:
    results = tuple(
        SegmentResult(
            ticker=f"M{number}",
            session_id="s",
            starts_at=1,
            ends_at=2,
            profit=Cash(int(dollars * 1_000_000) + number),
            fees=Cash(20_000),
            fills=2,
            steps=10,
            forbidden=1,
        )
        for number in range(markets)
    )
    return Evaluation(name, results, (70, 5, 5, 0, 0))


def report(candidate_dollars: float, champion_dollars: float | None = None) -> Report:
    champion = None if champion_dollars is None else evaluation("3", champion_dollars)
    return Report(
        training_id="t",
        dataset_id="d",
        candidates=(
            Candidate("7", evaluation("7", candidate_dollars)),
            Candidate("8", None, ("probe scores are off by 1",)),
        ),
        baselines=(evaluation("hold", 0.0), evaluation("random", -3.0)),
        champion=None if champion is None else "3",
        champion_evaluation=champion,
    )


def test_a_report_comes_back_equal_from_its_file():
    for one in (report(1.5), report(1.5, champion_dollars=1.0)):
        assert report_from_json(report_to_json(one)) == one


def test_what_was_gained_on_markets_never_learned_from_stands_beside_what_was_gained_on_all():
    one = replace(report(1.5), unseen=tuple(f"M{number}" for number in range(6)))

    rows = {row["name"]: row for row in one.rows()}

    assert report_from_json(report_to_json(one)) == one
    assert rows["candidate 7"]["unseen_markets"] == 6
    assert rows["candidate 7"]["unseen_pnl_dollars"] == pytest.approx(1.5, abs=0.001)
    assert rows["candidate 7"]["unseen_low_dollars"] is not None
    assert report(1.5).rows()[0]["unseen_pnl_dollars"] is None


def test_a_file_of_another_form_is_refused():
    with pytest.raises(ValueError, match="'other'"):
        report_from_json(json.dumps({"format": "other"}))


def test_everyone_who_was_played_has_a_row_losses_included():
    rows = report(1.5, champion_dollars=1.0).rows()

    assert [row["name"] for row in rows] == ["hold", "random", "champion 3", "candidate 7"]
    assert rows[1]["pnl_dollars"] == pytest.approx(-3.0, abs=0.001)
    assert rows[1]["low_dollars"] <= rows[1]["pnl_dollars"] <= rows[1]["high_dollars"]
    assert rows[3]["decisions"] == 80
    assert rows[3]["BUY_YES_LIMIT"] == 5


@pytest.mark.parametrize(
    ("candidate", "champion", "kind"),
    [
        (1.5, None, VerdictKind.CHAMPION),
        (-1.5, None, VerdictKind.BOOTSTRAP),
        (1.5, 1.0, VerdictKind.CHAMPION),
        (1.0, 1.5, VerdictKind.REFUSED),
    ],
)
def test_the_verdict_follows_the_rule(candidate, champion, kind):
    verdict = report(candidate, champion).verdict()

    assert verdict.kind is kind
    assert verdict.version == "7"


def test_what_is_stored_of_a_verdict_is_json_with_rule_figures_and_table():
    one = report(-1.5)

    stored = json.loads(json.dumps(stored_verdict(one.verdict(), one)))

    assert stored["kind"] == "bootstrap"
    assert stored["rule"]
    assert stored["training_id"] == "t"
    assert [row["name"] for row in stored["table"]] == ["hold", "random", "candidate 7"]
    assert stored["markdown"].startswith("| who |")
