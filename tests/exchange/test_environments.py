"""Hosts are compared whole, and orders reach production only with three consents."""

from datetime import date

import pytest

from kalshiflow.exchange.environments import endpoints, is_loopback, may_send_orders
from kalshiflow.settings import OrdersTo, SettingsError, load

TODAY = date(2026, 11, 20)


def settings(tmp_path, **environ):
    return load("trader", environ, tmp_path)


@pytest.mark.parametrize(
    ("environment", "rest", "ws"),
    [
        (
            "paper",
            "https://external-api.demo.kalshi.co/trade-api/v2",
            "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
        ),
        (
            "production",
            "https://external-api.kalshi.com/trade-api/v2",
            "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
        ),
    ],
)
def test_each_of_kalshis_environments_has_its_addresses(tmp_path, environment, rest, ws):
    found = endpoints(settings(tmp_path, ENVIRONMENT=environment))

    assert (found.rest, found.ws) == (rest, ws)


def test_the_local_exchange_has_no_default_and_the_error_tells_the_way_out(tmp_path):
    with pytest.raises(SettingsError, match="kalshiflow up"):
        endpoints(settings(tmp_path))


@pytest.mark.parametrize("host", ["127.0.0.1:8090", "localhost:1", "[::1]:8090", "127.9.9.9"])
def test_local_takes_addresses_of_this_machine(tmp_path, host):
    found = endpoints(
        settings(
            tmp_path,
            KALSHI_API_URL=f"http://{host}/trade-api/v2/",
            KALSHI_WS_URL=f"ws://{host}/trade-api/ws/v2",
        )
    )

    assert found.rest == f"http://{host}/trade-api/v2"
    assert found.ws == f"ws://{host}/trade-api/ws/v2"


@pytest.mark.parametrize(
    "host",
    [
        "external-api.kalshi.com",
        "demo-api.kalshi.co",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "0.0.0.0",
        "10.0.0.1",
        "127.0.0.1@example.com",
        "user@127.0.0.1",
    ],
)
def test_local_takes_no_other_address(tmp_path, host):
    with pytest.raises(SettingsError, match="not on this machine"):
        endpoints(settings(tmp_path, KALSHI_API_URL=f"https://{host}/trade-api/v2"))


@pytest.mark.parametrize(
    "url",
    [
        "https://external-api.kalshi.com.evil.com/trade-api/v2",
        "https://evil-external-api.kalshi.com/trade-api/v2",
        "https://external-api.kalshi.com@evil.com/trade-api/v2",
        "https://evil@external-api.kalshi.com/trade-api/v2",
        "https://external-api.kalshi.com:8443/trade-api/v2",
        "https://external-api.kalshi.com./trade-api/v2",
        "http://external-api.kalshi.com/trade-api/v2",
        "https://demo-api.kalshi.co/trade-api/v2",
        "https://trading-api.kalshi.com/trade-api/v2",
        "https://127.0.0.1/trade-api/v2",
    ],
)
def test_production_takes_only_its_own_hosts(tmp_path, url):
    with pytest.raises(SettingsError, match="does not belong to ENVIRONMENT=production"):
        endpoints(settings(tmp_path, ENVIRONMENT="production", KALSHI_API_URL=url))


@pytest.mark.parametrize("host", ["demo-api.kalshi.co", "DEMO-API.kalshi.co:443"])
def test_paper_takes_the_second_family_of_hosts_too(tmp_path, host):
    url = f"https://{host}/trade-api/v2"

    assert endpoints(settings(tmp_path, ENVIRONMENT="paper", KALSHI_API_URL=url)).rest == url


def test_an_address_with_another_path_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="must end in /trade-api/v2"):
        endpoints(
            settings(tmp_path, ENVIRONMENT="paper", KALSHI_API_URL="https://demo-api.kalshi.co/v1")
        )


def test_an_error_shows_no_password_of_an_address(tmp_path):
    with pytest.raises(SettingsError) as refused:
        endpoints(settings(tmp_path, KALSHI_API_URL="https://me:hush@10.0.0.1/trade-api/v2"))

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "asked", "expected"),
    [
        ("local", None, OrdersTo.EXCHANGE),
        ("paper", None, OrdersTo.EXCHANGE),
        ("production", None, OrdersTo.SIMULATED),
        ("production", "none", OrdersTo.NONE),
        ("production", "simulated", OrdersTo.SIMULATED),
        ("local", "simulated", OrdersTo.SIMULATED),
        ("paper", "exchange", OrdersTo.EXCHANGE),
    ],
)
def test_where_orders_go(tmp_path, environment, asked, expected):
    environ = {"ENVIRONMENT": environment} | ({"RL_ACTOR_ORDERS": asked} if asked else {})

    assert may_send_orders(settings(tmp_path, **environ), TODAY) is expected


CONSENTS = {
    "ENVIRONMENT": "production",
    "RL_ACTOR_ORDERS": "exchange",
    "RL_ACTOR_PRODUCTION_ORDERS": "yes",
    "RL_ACTOR_PRODUCTION_CONFIRM": "2026-11-20",
}


def test_all_three_consents_together_send_orders_to_production(tmp_path):
    assert may_send_orders(settings(tmp_path, **CONSENTS), TODAY) is OrdersTo.EXCHANGE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RL_ACTOR_PRODUCTION_ORDERS", "no"),
        ("RL_ACTOR_PRODUCTION_ORDERS", ""),
        ("RL_ACTOR_PRODUCTION_CONFIRM", "2026-11-19"),
        ("RL_ACTOR_PRODUCTION_CONFIRM", "yes"),
        ("RL_ACTOR_PRODUCTION_CONFIRM", ""),
    ],
)
def test_without_one_of_the_consents_the_trader_does_not_start(tmp_path, name, value):
    with pytest.raises(SettingsError, match=name):
        may_send_orders(settings(tmp_path, **(CONSENTS | {name: value})), TODAY)


def test_the_flags_alone_do_not_make_production_of_another_environment(tmp_path):
    flags = CONSENTS | {"ENVIRONMENT": "paper"}

    assert "kalshi.com" not in endpoints(settings(tmp_path, **flags)).rest


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://", "http://127.0.0.1.nip.io", "http://["]
)
def test_other_hosts_are_not_loopback(url):
    assert not is_loopback(url)
