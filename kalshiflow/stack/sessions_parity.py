"""What `kalshiflow sessions parity` finds: the trader's decisions, made again from its own tape."""

from dataclasses import asdict, dataclass
from typing import Any

from kalshiflow.learning.parity.reading import NotRemakeable, remake, terms_of
from kalshiflow.learning.parity.tapes import GROUPS, compare_tapes
from kalshiflow.store.database import Store
from kalshiflow.store.recorded import list_sessions
from kalshiflow.store.trading import decisions_of_session, get_run


@dataclass(frozen=True, slots=True)
class Parity:
    """One session's decisions: how many, how many are the same again, and what differs.

    `unproven` says why none could be made again. `collector` has, by group of features, the share
    of numbers that the collector's recording of the same time gives too.
    """

    session_id: str
    decisions: int = 0
    equal: int = 0
    differences: tuple[str, ...] = ()
    unproven: str | None = None
    collector: dict[str, float | None] | None = None

    @property
    def holds(self) -> bool:
        """Say whether all decisions are the same again."""
        return self.unproven is None and self.equal == self.decisions and not self.differences

    def lines(self) -> list[str]:
        """Say it to a person."""
        if self.unproven is not None:
            return [f"{self.session_id}: not checked: {self.unproven}"]
        word = "ok" if self.holds else "FAILED"
        counted = f"{self.equal:,} of {self.decisions:,} decisions made again from the tape"
        told = [
            f"{self.session_id}: {word} ({counted}, bit for bit)",
            *(f"  {line}" for line in self.differences),
        ]
        for group, share in (self.collector or {}).items():
            words = "no session of that time" if share is None else f"{share:.1%} of the numbers"
            told.append(f"  {group} features as on the collector's own tape: {words}")
        return told

    def values(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {**asdict(self), "holds": self.holds}


async def tapes(store: Store) -> list[str]:
    """Give every session of the trader's own tape that has ended, oldest first."""
    found = await list_sessions(store, origins=["trader"], after_close_seq=0, limit=10**9)
    return [session.session_id for session in found]


async def check(store: Store, session_id: str, *, collector: bool) -> Parity:
    """Make a session's decisions again; raises `NotRecorded` for one that is not there."""
    try:
        made = await remake(store, session_id)
    except NotRemakeable as unproven:
        return Parity(session_id, unproven=str(unproven))
    shares = None
    if collector and made.rows:
        decisions = await decisions_of_session(store, session_id)
        terms = terms_of(await get_run(store, decisions[0].run_id))
        compared = await compare_tapes(store, session_id, terms, decisions, made.rows)
        shares = {group.value: compared.share(group) for group in GROUPS}
    return Parity(session_id, made.decisions, made.equal, tuple(made.differences), collector=shares)
