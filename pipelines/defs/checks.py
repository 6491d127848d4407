"""What must be true of a session before anything is learned from it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from kalshiflow.store.certificate import Certificate, from_json, to_json
from kalshiflow.store.database import Store
from kalshiflow.store.outline import read_outline
from kalshiflow.store.proof import certificate as prove
from kalshiflow.store.read import get_session
from pipelines.comparing import MOST_OBSERVATIONS, Compared, compare
from pipelines.recordings import TRAINABLE, certificate_of
from pipelines.resources import Database, DataFolder

IS_WHOLE = "orderbook_session_is_whole"
BOOKS_ARE_POSSIBLE = "orderbook_session_books_are_possible"
REPLAYS_EQUAL = "orderbook_session_replays_equal"

EPISODES_REPLAY_EQUAL = "session_episodes_replay_equal"

_DESCRIPTIONS = {
    IS_WHOLE: "Counted anew in the rows, the session is what its certificate says, and usable.",
    BOOKS_ARE_POSSIBLE: "Replayed from the rows, no book is ever negative or crossed.",
    REPLAYS_EQUAL: "Replayed from the rows, the books end as the recorder's own books ended.",
}


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset="orderbook_session", blocking=True, description=description)
        for name, description in _DESCRIPTIONS.items()
    ]
)
def orderbook_session_checks(
    context: dg.AssetCheckExecutionContext, database: Database
) -> Iterator[dg.AssetCheckResult]:
    """Prove a session from its rows, independently of what was counted while it was recorded."""
    session_id = context.partition_key

    async def proof(store: Store) -> tuple[Certificate | None, Certificate]:
        session = await get_session(store, session_id)
        return certificate_of(session), as_told(await prove(store, session_id), session.certificate)

    stored, proven = database.run(proof)
    for name, trouble in troubles(stored, proven).items():
        yield dg.AssetCheckResult(
            passed=trouble is None,
            check_name=name,
            asset_key="orderbook_session",
            severity=dg.AssetCheckSeverity.ERROR,
            description=trouble or f"{_DESCRIPTIONS[name]} {proven.reason}".strip(),
            metadata={"session": session_id, "verdict": proven.verdict, "reason": proven.reason},
        )


@dg.asset_check(
    asset="session_episodes",
    name=EPISODES_REPLAY_EQUAL,
    blocking=True,
    description="A policy observes the same in the file's episodes as in the rows'.",
)
def session_episodes_replay_equal(
    context: dg.AssetCheckExecutionContext, database: Database, data_folder: DataFolder
) -> dg.AssetCheckResult:
    """Read a session's episodes twice, from its rows and from its file, and compare."""
    session_id = context.partition_key

    async def compared(store: Store) -> Compared:
        outline = await read_outline(store, session_id)
        return await compare(store, outline, data_folder.episodes_of(session_id))

    found = database.run(compared)
    return dg.AssetCheckResult(
        passed=found.trouble is None,
        description=found.trouble,
        metadata={
            "session": session_id,
            "markets compared": found.markets,
            "events compared": found.events,
            "most observations compared": MOST_OBSERVATIONS,
        },
    )


def as_told(proven: Certificate, told: Mapping[str, Any] | None) -> Certificate:
    """Leave out of a certificate what one of old (`told`, as JSON) did not speak of."""
    if told is None:
        return proven
    return from_json({name: value for name, value in to_json(proven).items() if name in told})


def troubles(stored: Certificate | None, proven: Certificate) -> dict[str, str | None]:
    """Say, by check, what is wrong with a session; `None` where nothing is.

    `stored` is the certificate of its closing and `proven` the one drawn from the rows now.
    """
    if stored is None:
        return dict.fromkeys(_DESCRIPTIONS, "the session has no certificate: it was never closed")
    return {
        IS_WHOLE: _is_not_whole(stored, proven),
        BOOKS_ARE_POSSIBLE: None if proven.books_sha256 else proven.reason,
        REPLAYS_EQUAL: _is_other_end(stored.books_sha256, proven.books_sha256),
    }


def _is_not_whole(stored: Certificate, proven: Certificate) -> str | None:
    if proven.verdict not in TRAINABLE:
        return proven.reason
    was, now = asdict(stored), asdict(proven)
    # The books have their own check.
    differ = [name for name in was if was[name] != now[name] and name != "books_sha256"]
    if not differ:
        return None
    told = "; ".join(f"{name} was {was[name]}, is {now[name]}" for name in differ[:5])
    return f"the rows are not what the certificate says: {told}"


def _is_other_end(stored: str | None, proven: str | None) -> str | None:
    if stored is not None and stored == proven:
        return None
    return f"the recorder's books ended as {stored}, the rows' end as {proven}"
