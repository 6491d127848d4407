"""Which hosts belong to which environment, and where orders may go."""

import ipaddress
from dataclasses import dataclass
from datetime import date
from urllib.parse import SplitResult, urlsplit

from kalshiflow.settings import Environment, OrdersTo, Settings, SettingsError

REST_PATH = "/trade-api/v2"
WS_PATH = "/trade-api/ws/v2"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """An environment's two addresses; `rest` ends in /trade-api/v2, `ws` in /trade-api/ws/v2."""

    environment: Environment
    rest: str
    ws: str


# The first host of each is the one that is used where none is set.
_HOSTS: dict[Environment, dict[str, tuple[str, ...]]] = {
    Environment.PAPER: {
        "rest": ("external-api.demo.kalshi.co", "demo-api.kalshi.co"),
        "ws": ("external-api-ws.demo.kalshi.co", "demo-api.kalshi.co"),
    },
    Environment.PRODUCTION: {
        "rest": ("external-api.kalshi.com", "api.elections.kalshi.com"),
        "ws": ("external-api-ws.kalshi.com", "api.elections.kalshi.com"),
    },
}


def endpoints(settings: Settings) -> Endpoints:
    """Give the addresses to use; raises `SettingsError` for one outside the environment."""
    environment: Environment = settings.environment
    return Endpoints(
        environment,
        rest=_address(environment, "rest", "KALSHI_API_URL", settings.kalshi_api_url),
        ws=_address(environment, "ws", "KALSHI_WS_URL", settings.kalshi_ws_url),
    )


def may_send_orders(settings: Settings, today: date) -> OrdersTo:
    """Say where the trader's orders go; `today` is the UTC date.

    Orders to production need three separate consents: `ENVIRONMENT=production`,
    `RL_ACTOR_PRODUCTION_ORDERS=yes`, and `RL_ACTOR_PRODUCTION_CONFIRM` equal to today's date.
    Raises `SettingsError` where `RL_ACTOR_ORDERS=exchange` is asked for without all of them.
    """
    production = settings.environment is Environment.PRODUCTION
    asked: OrdersTo | None = settings.rl_actor_orders
    if asked is None:
        return OrdersTo.SIMULATED if production else OrdersTo.EXCHANGE
    if asked is not OrdersTo.EXCHANGE or not production:
        return asked
    if not settings.rl_actor_production_orders:
        raise SettingsError(
            "RL_ACTOR_ORDERS=exchange in production also needs RL_ACTOR_PRODUCTION_ORDERS=yes"
        )
    if settings.rl_actor_production_confirm != today.isoformat():
        raise SettingsError(
            "RL_ACTOR_ORDERS=exchange in production also needs RL_ACTOR_PRODUCTION_CONFIRM "
            f"to be today's UTC date, {today.isoformat()}, written for this run"
        )
    return OrdersTo.EXCHANGE


def is_loopback(url: str) -> bool:
    """Say whether an address can lead to this machine only."""
    try:
        host = urlsplit(url).hostname or ""
        if host == "localhost":
            return True
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(environment: Environment, kind: str, name: str, url: str | None) -> str:
    path = REST_PATH if kind == "rest" else WS_PATH
    scheme = "https" if kind == "rest" else "wss"
    if url is None:
        if environment is Environment.LOCAL:
            raise SettingsError(
                f"{name} is not set; run `kalshiflow up`, which starts the local exchange "
                "and writes its address to .env"
            )
        return f"{scheme}://{_HOSTS[environment][kind][0]}{path}"
    parts = urlsplit(url)
    if parts.path.rstrip("/") != path or parts.query or parts.fragment:
        raise SettingsError(f"{name}: {_shown(parts)} must end in {path}")
    if environment is Environment.LOCAL:
        if not is_loopback(url) or parts.username is not None:
            raise SettingsError(
                f"{name}: {_shown(parts)} is not on this machine, as ENVIRONMENT=local demands; "
                "set ENVIRONMENT to paper or production to reach Kalshi"
            )
    elif not _is_kalshis(parts, scheme, _HOSTS[environment][kind]):
        allowed = " or ".join(f"{scheme}://{host}{path}" for host in _HOSTS[environment][kind])
        raise SettingsError(
            f"{name}: {_shown(parts)} does not belong to ENVIRONMENT={environment}; use {allowed}"
        )
    return url.rstrip("/")


def _is_kalshis(parts: SplitResult, scheme: str, hosts: tuple[str, ...]) -> bool:
    # The whole authority is compared: no user, no other port, no longer or shorter host.
    return parts.scheme == scheme and parts.netloc.lower() in {
        spelled for host in hosts for spelled in (host, f"{host}:443")
    }


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
