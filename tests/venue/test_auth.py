"""Who signed: Kalshi's headers against keys of both kinds and the venue's clock; and accounts."""

import json
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.credentials import Credentials, KeyKind, generate_key
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.market.units import Cash
from kalshiflow.venue.app import Serving
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.keys import client_key

NOW = 1_795_164_881_950
PATH = f"{REST_PATH}/portfolio/balance"
ED_PEM, ED_PUBLIC = generate_key("ed25519")
SIGNER = Credentials.from_pem("key", ED_PEM)


def gate_of(public_key: Any = ED_PUBLIC, window_ms: int = 15_000) -> Gate:
    accounts = Accounts()
    accounts.open(Account("somebody", Cash(0), key_id="key", public_key=public_key))
    return Gate(accounts, lambda: NOW, window_ms)


def refusal(gate: Gate, headers: dict[str, str], method: str = "GET", path: str = PATH) -> str:
    """Give the refusal's last words, or nothing where there was none."""
    try:
        gate.account_of(headers, method, path)
    except Unauthenticated as refused:
        return refused.body.error.details or refused.body.error.code
    return ""


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_keys_of_both_kinds_sign(kind: KeyKind) -> None:
    pem, public_key = generate_key(kind)
    gate = gate_of(public_key)
    headers = Credentials.from_pem("key", pem).headers("GET", PATH, NOW)

    assert gate.account_of(headers, "GET", PATH).key_id == "key"
    assert refusal(gate, headers, "POST") == "INCORRECT_API_KEY_SIGNATURE"
    assert refusal(gate, headers, "GET", PATH + "/x") == "INCORRECT_API_KEY_SIGNATURE"
    other = Credentials.from_pem("key", generate_key(kind)[0]).headers("GET", PATH, NOW)
    assert refusal(gate, other) == "INCORRECT_API_KEY_SIGNATURE"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KALSHI-ACCESS-SIGNATURE": ""}, "signature_is_missing_from_headers"),
        ({"KALSHI-ACCESS-SIGNATURE": "no base64"}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-KEY": "another"}, "NOT_FOUND"),
        ({"KALSHI-ACCESS-TIMESTAMP": ""}, "header_timestamp_expired"),
        ({"KALSHI-ACCESS-TIMESTAMP": "now"}, "header_timestamp_expired"),
        ({"KALSHI-ACCESS-TIMESTAMP": "-1"}, "header_timestamp_expired"),
        ({"KALSHI-ACCESS-TIMESTAMP": "9" * 400}, "header_timestamp_expired"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW + 1)}, "INCORRECT_API_KEY_SIGNATURE"),
    ],
)
def test_every_wrong_header_has_its_own_words(change: dict[str, str], words: str) -> None:
    assert refusal(gate_of(), SIGNER.headers("GET", PATH, NOW) | change) == words


@given(window=st.integers(0, 60_000), off=st.integers(-120_000, 120_000))
def test_a_timestamp_counts_within_the_window_and_on_its_edge(window: int, off: int) -> None:
    told = refusal(gate_of(window_ms=window), SIGNER.headers("GET", PATH, NOW + off))

    assert told == ("" if abs(off) <= window else "header_timestamp_expired")


def test_the_window_agrees_with_what_was_measured(recorded_data: Path) -> None:
    folder = recorded_data / "kalshi-demo-rest-2026-06"
    for name, off in (
        ("minus5s", -5_000),
        ("plus5s", 5_000),
        ("minus30s", -30_000),
        ("minus5min", -300_000),
        ("plus5min", 300_000),
    ):
        meta = json.loads((folder / f"auth__skew_{name}.meta.json").read_text())
        told = refusal(gate_of(), SIGNER.headers("GET", PATH, NOW + off))
        assert (told == "") == (meta["status"] == 200)


def test_a_folder_keeps_its_keys_and_makes_those_that_are_missing(tmp_path: Path) -> None:
    first = client_key(tmp_path / "keys")
    second = client_key(tmp_path / "keys", "trader-2", "ed25519")

    assert client_key(tmp_path / "keys").key_id == first.key_id
    assert client_key(tmp_path / "keys", "trader-2").key_id == second.key_id != first.key_id
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- accounts over REST ------------------------------------------------------------------------


@pytest.fixture
async def serving(serve_venue: Any, tmp_path: Path, key_dir: Path) -> AsyncIterator[Serving]:
    for file in key_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    client_key(tmp_path, "trader-2", "ed25519")  # sooner made than one of RSA
    config = VenueConfig(markets=1, hold=True, accounts=2, key_dir=tmp_path, window_ms=2_000)
    async with serve_venue(config) as serving:
        yield serving


async def admin(
    serving: Serving, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    base = serving.rest.removesuffix(REST_PATH)
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, f"{base}/venue{path}", json=body, timeout=10)
    return answer.status_code, answer.json()


async def ask(serving: Serving, account: dict[str, Any], path: str, off: int = 0) -> httpx.Response:
    pem = Path(account["private_key_path"]).read_text()
    signer = Credentials.from_pem(account["key_id"], pem)
    headers = signer.headers("GET", REST_PATH + path, time.time_ns() // 1_000_000 + off)
    async with httpx.AsyncClient() as http:
        return await http.get(serving.rest + path, headers=headers)


async def test_each_client_has_a_key_and_cash_of_its_own(serving: Serving, tmp_path: Path) -> None:
    _, told = await admin(serving, "GET", "/accounts")

    assert [one["name"] for one in told["accounts"]] == ["trader", "trader-2"]
    assert told["accounts"][0]["key_id"] == serving.key_id
    for one in told["accounts"]:
        assert Path(one["private_key_path"]) == tmp_path.resolve() / f"{one['name']}.pem"
        assert (await ask(serving, one, "/portfolio/balance")).json()["balance"] == 1_000_000


async def test_an_account_can_be_opened_while_the_venue_runs(serving: Serving) -> None:
    status, third = await admin(
        serving,
        "POST",
        "/accounts",
        {"cash": "12.34", "tier": "prime", "precision": "0.01", "key_type": "ed25519"},
    )
    _, fourth = await admin(serving, "POST", "/accounts", {"name": "maker", "key_type": "ed25519"})
    _, told = await admin(serving, "GET", "/accounts")

    assert status == 201
    assert (third["name"], third["deposited"], third["precision"]) == (
        "trader-3",
        12_340_000,
        10_000,
    )
    assert (fourth["name"], fourth["tier"]) == ("maker", "basic")
    assert told["accounts"][2:] == [third, fourth]
    assert (await ask(serving, third, "/portfolio/balance")).json()["balance"] == 1234
    limits = (await ask(serving, third, "/account/limits")).json()
    assert limits["write"] == {"refill_rate": 4000, "bucket_capacity": 8000}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "trader"}, "there is an account trader already"),
        ({"name": "../x"}, "'../x' is no name: letters, digits, - and _ make one, 64 at most"),
        ({"tier": "gold"}, "there is no tier gold; there are basic, "),
        ({"cash": "1e99"}, "cash must be dollars such as 1000.00, not '1e99'"),
        ({"cash": "1e999999"}, "cash must be dollars such as 1000.00, not '1e999999'"),
        ({"cash": "1000000001"}, "cash must be from 0 to 1000000000 dollars"),
        ({"cash": "NaN"}, "cash must be dollars such as 1000.00, not 'NaN'"),
        ({"cash": "-1"}, "cash must be from 0 to 1000000000 dollars"),
        ({"precision": "1"}, "precision must be 0.0001 or 0.01, not '1'"),
        ({"colour": "red"}, "Object contains unknown field `colour`"),
        ([], "Expected `object`, got `array`"),
    ],
)
async def test_an_account_that_cannot_be_is_refused_in_a_sentence(
    serving: Serving, body: Any, words: str
) -> None:
    status, told = await admin(serving, "POST", "/accounts", body)

    assert status == 400
    assert told["error"]["message"].startswith(words)
    assert len((await admin(serving, "GET", "/accounts"))[1]["accounts"]) == 2


async def test_the_window_is_the_one_that_was_asked_for(serving: Serving) -> None:
    (first, _) = (await admin(serving, "GET", "/accounts"))[1]["accounts"]

    assert (await ask(serving, first, "/portfolio/balance", off=-1_000)).status_code == 200
    late = await ask(serving, first, "/portfolio/balance", off=-4_000)
    assert late.status_code == 401
    assert late.json()["error"]["code"] == "header_timestamp_expired"


async def test_the_venues_own_endpoints_are_not_for_websites(serving: Serving) -> None:
    base = serving.rest.removesuffix(REST_PATH)
    async with httpx.AsyncClient() as http:
        for path in ("/status", "/accounts", "/faults"):
            for origin, status in (
                ("https://evil.example", 404),
                ("http://[", 404),
                ("http://localhost:8501", 200),
            ):
                answer = await http.get(f"{base}/venue{path}", headers={"Origin": origin})
                assert answer.status_code == status


@pytest.mark.parametrize("caller", ["192.0.2.7", "nobody", "127.0.0.1, nobody"])
async def test_a_header_that_names_another_caller_changes_nothing(
    serving: Serving, caller: str
) -> None:
    base = serving.rest.removesuffix(REST_PATH)
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{base}/venue/status", headers={"X-Forwarded-For": caller})

    assert answer.status_code == 200
