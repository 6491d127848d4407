"""The services of the whole system on one machine, as a plan for the supervisor."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import kalshiflow
from kalshiflow.settings import Environment, Settings
from kalshiflow.stack.databases import Databases
from kalshiflow.stack.errors import WorkspaceMissing
from kalshiflow.stack.files import write_private
from kalshiflow.stack.plan import Plan, Service
from kalshiflow.stack.ports import HOST, Port
from kalshiflow.stack.processes import Identity

ROOT = Path(kalshiflow.__file__).resolve().parent.parent
PORTS = ("COLLECTOR", "TRADER", "APP", "MLFLOW", "DAGSTER", "VENUE", "VENUE_WS")
NAMES = ("venue", "mlflow", "dagster", "collector", "trader", "app")
VENUE_EXPORTS = {
    "rest": "KALSHI_API_URL",
    "ws": "KALSHI_WS_URL",
    "key_id": "KALSHI_API_KEY_ID",
    "private_key_path": "KALSHI_PRIVATE_KEY_PATH",
}


@dataclass(frozen=True, slots=True)
class StackPlaces:
    """Where one stack keeps and writes its things."""

    state: Path
    data: Path
    env_file: Path


def places(settings: Settings, env_file: str) -> StackPlaces:
    """Resolve the folders of a stack; relative ones lie in the repository."""
    state = (ROOT / settings.rl_state_dir).resolve()
    has_own_data = "RL_DATA_DIR" in settings.texts
    data = (ROOT / settings.rl_data_dir).resolve() if has_own_data else state / "data"
    return StackPlaces(state, data, ROOT / env_file)


def variables(settings: Settings, where: StackPlaces, databases: Databases) -> dict[str, str]:
    """Give the variables through which every program finds the others; the venue adds its own."""
    found = {
        "ENVIRONMENT": settings.environment.value,
        "DATABASE_URL": databases.app,
        "DAGSTER_DATABASE_URL": databases.dagster,
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{settings.rl_mlflow_port}",
        "RL_STATE_DIR": str(where.state),
        "RL_DATA_DIR": str(where.data),
    }
    for name in PORTS:
        variable = f"RL_{name}_PORT"
        found[variable] = str(getattr(settings, variable.lower()))
    return found


@dataclass(frozen=True, slots=True)
class Wish:
    """What to run: all but `without`; what the venue plays, and variables of single services."""

    without: Collection[str] = ()
    venue: tuple[str, ...] | None = None
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan is made from beside the wish. `code_port` is free; services run in `folder`."""

    settings: Settings
    where: StackPlaces
    databases: Databases
    code_port: int
    folder: Path = ROOT
    owner: Identity | None = None


def stack_plan(around: Surroundings, wish: Wish) -> Plan:
    """Plan what is wished for, and make the folders that it needs."""
    settings, where = around.settings, around.where
    where.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    where.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    all_services = [_migrations()]
    if settings.environment == Environment.LOCAL:
        all_services.append(_venue(settings, where, wish.venue or _synthetic(settings)))
    all_services += [
        _mlflow(settings, where, around.databases),
        *_dagster(settings, where, around.code_port),
        _collector(settings),
        _trader(settings),
        _app(settings),
    ]
    chosen = [one for one in all_services if one.name.split("-")[0] not in wish.without]
    names = {one.name for one in chosen}
    return Plan(
        state=where.state,
        folder=around.folder,
        env={
            **variables(settings, where, around.databases),
            "RL_ENV_FILE": str(where.env_file),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
        services=tuple(_fitted(one, names, wish.env.get(one.name, {})) for one in chosen),
        has_postgres=around.databases.is_ours,
        env_file=where.env_file,
        owner=around.owner,
    )


def _fitted(service: Service, names: Collection[str], env: Mapping[str, str]) -> Service:
    """Drop needs that are not there, and add variables."""
    needs = tuple(name for name in service.depends_on if name in names)
    return replace(service, depends_on=needs, env={**service.env, **env})


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def _migrations() -> Service:
    return Service("migrations", _python("kalshiflow.stack.cli", "migrate"), health="exit")


def _synthetic(settings: Settings) -> tuple[str, ...]:
    return (
        *("--markets", str(settings.rl_venue_markets)),
        *("--speed", str(settings.rl_venue_speed)),
        *("--seed", str(settings.rl_venue_seed)),
    )


def _venue(settings: Settings, where: StackPlaces, arguments: tuple[str, ...]) -> Service:
    port, ws_port = settings.rl_venue_port, settings.rl_venue_ws_port
    keys = where.state / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    ports = ("--port", str(port), "--ws-port", str(ws_port))
    log = () if settings.rl_venue_log is None else ("--log", str(settings.rl_venue_log))
    return Service(
        "venue",
        _python("kalshiflow.venue", *ports, "--key-dir", str(keys), *log, *arguments),
        health=f"http://{HOST}:{port}/venue/status",
        ports=(
            Port(port, "the venue", "RL_VENUE_PORT"),
            Port(ws_port, "the venue's WebSocket", "RL_VENUE_WS_PORT"),
        ),
        exports=VENUE_EXPORTS,
        url=f"http://{HOST}:{port}/trade-api/v2",
    )


def _mlflow(settings: Settings, where: StackPlaces, databases: Databases) -> Service:
    port = settings.rl_mlflow_port
    return Service(
        "mlflow",
        _python(
            *("mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *("--allowed-hosts", f"localhost:{port},{HOST}:{port}"),
        ),
        health=f"http://{HOST}:{port}/health",
        env={  # not as arguments: everybody on the machine reads those
            "MLFLOW_BACKEND_STORE_URI": databases.mlflow,
            "MLFLOW_ARTIFACTS_DESTINATION": str(where.state / "artifacts"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        ports=(Port(port, "MLflow", "RL_MLFLOW_PORT"),),
        url=f"http://{HOST}:{port}",
    )


def _dagster(settings: Settings, where: StackPlaces, code_port: int) -> list[Service]:
    """One code server for both: each would load the pipelines by itself otherwise."""
    home = where.state / "dagster"
    home.mkdir(mode=0o700, exist_ok=True)
    config = ROOT / "dagster.yaml"
    if not config.exists():
        raise WorkspaceMissing(f"{config} is missing; install with `pip install -e` in a clone")
    write_private(home / "dagster.yaml", config.read_bytes())
    workspace = home / "workspace.yaml"
    write_private(
        workspace,
        f"load_from:\n  - grpc_server: {{host: {HOST}, port: {code_port}, "
        f"location_name: pipelines}}\n".encode(),
    )
    env = {"DAGSTER_HOME": str(home)}
    port = settings.rl_dagster_port
    code = Service(
        "dagster-code",
        _python(
            *("dagster", "api", "grpc", "--host", HOST, "--port", str(code_port)),
            *("--module-name", "pipelines.definitions", "--working-directory", str(ROOT)),
            *("--location-name", "pipelines", "--use-python-environment-entry-point"),
        ),
        health=f"tcp://{HOST}:{code_port}",
        env=env,
        depends_on=("migrations",),
    )
    web = Service(
        "dagster-web",
        _python(
            *("kalshiflow.stack.dagster_web", "--workspace", str(workspace), "--port", str(port)),
        ),
        health=f"http://{HOST}:{port}/server_info",
        env=env,
        depends_on=("dagster-code",),
        ports=(Port(port, "Dagster", "RL_DAGSTER_PORT"),),
        url=f"http://{HOST}:{port}",
    )
    daemon = Service(
        "dagster-daemon",
        _python("dagster._daemon", "run", "--workspace", str(workspace)),
        health="log:Instance is configured with the following daemons",
        env=env,
        depends_on=("dagster-code",),
    )
    return [code, web, daemon]


def _collector(settings: Settings) -> Service:
    port = settings.rl_collector_port
    return Service(
        "collector",
        _python("streaming"),
        health=f"http://{HOST}:{port}/rl/health",
        depends_on=("venue", "migrations"),
        ports=(Port(port, "the collector", "RL_COLLECTOR_PORT"),),
        url=f"http://{HOST}:{port}/rl/health",
        stop_seconds=40,  # it closes its session with a certificate
    )


def _trader(settings: Settings) -> Service:
    port = settings.rl_trader_port
    return Service(
        "trader",
        _python("trader"),
        health=f"http://{HOST}:{port}/v3/health",
        depends_on=("venue", "migrations", "mlflow"),
        ports=(Port(port, "the trader", "RL_TRADER_PORT"),),
        url=f"http://{HOST}:{port}/v3/status",
        stop_seconds=40,  # it cancels its orders
    )


def _app(settings: Settings) -> Service:
    port = settings.rl_app_port
    return Service(
        "app",
        _python(
            *("streamlit", "run", str(ROOT / "app_streamlit" / "app.py")),
            *("--server.port", str(port), "--server.address", HOST, "--server.headless", "true"),
            *("--server.allowedHosts", "localhost", "--server.allowedHosts", HOST),
            *("--browser.gatherUsageStats", "false"),
        ),
        health=f"http://{HOST}:{port}/_stcore/health",
        depends_on=("migrations",),
        ports=(Port(port, "the app", "RL_APP_PORT"),),
        url=f"http://{HOST}:{port}",
    )
