"""Whether a program of ours already runs on this machine, said in one sentence."""

import httpx

PROBE_SECONDS = 1.0

# What a person calls each program, and the variable that moves its port.
PROGRAMS = {
    "collector": ("The collector", "RL_COLLECTOR_PORT"),
    "trader": ("The trader", "RL_TRADER_PORT"),
    "app": ("The app", "RL_APP_PORT"),
    "dagster": ("Dagster", "RL_DAGSTER_PORT"),
}


def already_running(program: str, port: int, path: str) -> str | None:
    """Give the sentence to stop with where `path` is answered with 200 on `port`, else `None`.

    `program` is a key of `PROGRAMS`. Only loopback is asked, for at most a second.
    """
    name, variable = PROGRAMS[program]
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}{path}", timeout=PROBE_SECONDS, trust_env=False
        )  # no proxy: another machine's 127.0.0.1 is not ours
    except httpx.TransportError:
        return None
    if answer.status_code != httpx.codes.OK:
        return None
    return (
        f"{name} is already running at http://127.0.0.1:{port}; "
        f"stop it first, or set {variable} to another port."
    )
