"""The language of faults: what can be said, and the sentence for what cannot."""

from pathlib import Path

import pytest

from kalshiflow.venue.faults.language import (
    KINDS,
    PARAMETERS,
    WrongFault,
    first_faults,
    read_fault,
    read_script,
)


def test_a_fault_says_what_where_and_when() -> None:
    fault = read_fault(
        "drop channel=orderbook_delta,trade ticker=A-1 account=trader-2 at=1.5m for=500ms "
        "after=10 every=100 rate=0.5 count=3"
    )

    assert fault.kind == "drop"
    assert fault.channel == {"orderbook_delta", "trade"}
    assert (fault.ticker, fault.account) == ({"A-1"}, {"trader-2"})
    assert (fault.at, fault.lasts) == (90.0, 0.5)
    assert (fault.after, fault.every, fault.rate, fault.count) == (10, 100, 0.5, 3)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("duplicate", "every", 1),
        ("429 for=10s", "lasts", 10.0),
        ("5xx", "status", 503),
        ("5xx status=502 body=empty", "status", 502),
        ("5xx body=empty", "body", "empty"),
        ("timeout lands=yes", "lands", True),
        ("timeout lands=no", "lands", False),
        ("stale-reads", "ms", 360),
        ("clock-skew ms=-60000", "ms", -60_000),
        ("refuse-handshakes status=429", "status", 429),
        ("refuse-handshakes", "count", None),
        ("maintenance at=2h", "at", 7200.0),
    ],
)
def test_what_is_left_out_has_a_default(text: str, name: str, value: object) -> None:
    assert getattr(read_fault(text), name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no fault without a name; there are drop, duplicate, "),
        ("explode every=3", "there is no fault explode; there are drop, duplicate, "),
        ("drop evry=3", "drop: evry=3 is not known; it takes channel=, ticker=, "),
        ("drop often", "drop: often is not known; it takes channel=, "),
        ("drop every=0", "drop: every must be a whole number from 1, not '0'"),
        ("drop every=3 every=4", "drop: every is given twice"),
        ("drop rate=0", "drop: rate must be a share above 0 and up to 1, not '0'"),
        ("drop rate=nan", "drop: rate must be a share above 0 and up to 1, not 'nan'"),
        ("drop channel=books", "drop: channel must be one or more, with commas, of "),
        ("drop channel=", "drop: channel must be one or more, with commas, of "),
        ("drop ticker=A,,B", "drop: ticker must be one or more market tickers, with commas, not "),
        ("delay", "delay: ms must be given: whole milliseconds from 1 to 3600000"),
        ("delay ms=-1", "delay: ms must be whole milliseconds from 1 to 3600000, not '-1'"),
        (
            "429 for=ever",
            "429: for must be a time such as 10, 10s, 500ms or 2m, a year at most, not ",
        ),
        (
            "429 at=" + "9" * 400,
            "429: at must be a time such as 10, 10s, 500ms or 2m, a year at most",
        ),
        ("drop for=367000h", "drop: for must be a time such as 10, 10s, 500ms or 2m, a year at"),
        ("429 path=markets", "429: path must be the beginning of a path below /trade-api/v2, "),
        ("429 method=get", "429: method must be one or more, with commas, of GET, "),
        ("5xx status=200", "5xx: status must be a known HTTP status from 500 to 599, not '200'"),
        ("5xx status=599", "5xx: status must be a known HTTP status from 500 to 599, not '599'"),
        ("5xx body=json", "5xx: body must be html or empty, not 'json'"),
        ("timeout", "timeout: lands must be given: yes or no"),
        ("timeout lands=maybe", "timeout: lands must be yes or no, not 'maybe'"),
        ("stale-reads every=3", "stale-reads: every=3 is not known; it takes ms=, "),
        ("clock-skew", "clock-skew: ms must be given"),
        ("maintenance count=2", "maintenance: count=2 is not known; it takes at=, for="),
        (
            "refuse-handshakes status=101",
            "refuse-handshakes: status must be a known HTTP status from ",
        ),
    ],
)
def test_a_wrong_fault_is_a_sentence_that_names_what_is_allowed(text: str, sentence: str) -> None:
    with pytest.raises(WrongFault) as refused:
        read_fault(text)

    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_every_kind_takes_only_what_is_described() -> None:
    for kind in KINDS.values():
        assert set(kind.takes) <= set(PARAMETERS)
        assert set(kind.needs) <= set(kind.takes)


def test_a_script_holds_text_and_objects(tmp_path: Path) -> None:
    script = tmp_path / "faults"
    script.write_text(
        "# a bad minute\n"
        "\n"
        "429 at=10s for=2s\n"
        '{"fault": "timeout", "at": 20, "lands": true, "count": 1}\n'
        '{"fault": "drop every=100 channel=trade"}\n'
    )

    assert [fault.text for fault in read_script(script)] == [
        "429 at=10s for=2s",
        "timeout at=20 lands=yes count=1",
        "drop every=100 channel=trade",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("drop evry=1", "drop: evry=1 is not known"),
        ('{"fault": ', "this is no fault as a JSON object"),
        ('{"fault": "drop", "every": [1]}', "this is no fault as a JSON object"),
        ('{"kind": "drop"}', "there is no fault kind=drop"),
    ],
)
def test_a_wrong_line_of_a_script_is_named(tmp_path: Path, line: str, words: str) -> None:
    script = tmp_path / "faults"
    script.write_text(f"429 for=1s\n{line}\n")

    with pytest.raises(WrongFault) as refused:
        read_script(script)

    assert str(refused.value).startswith(f"{script}, line 2: ")
    assert words in str(refused.value)


def test_a_venue_does_not_start_with_a_disconnect_that_meets_nobody() -> None:
    with pytest.raises(WrongFault, match="say at=, for= or after="):
        first_faults(["disconnect"], None)

    assert len(first_faults(["disconnect at=1s", "disconnect after=1", "disconnect for=1s"], None))
