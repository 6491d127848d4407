"""When to train again, decided from values."""

from collections.abc import Sequence
from dataclasses import dataclass

from kalshiflow.store.read import SessionRow
from kalshiflow.store.training import TrainingRun

NANOSECONDS_PER_MINUTE = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Train again once there are `sessions` new ones, at most every `cooldown_minutes`."""

    sessions: int
    cooldown_minutes: float


@dataclass(frozen=True, slots=True)
class Due:
    """Train now, on these sessions; `key` is the same for the same occasion."""

    sessions: tuple[str, ...]
    new: int
    key: str


@dataclass(frozen=True, slots=True)
class NotDue:
    """Do not train now, and why not."""

    reason: str


def decide(
    rule: Rule,
    usable: Sequence[SessionRow],
    trainings: Sequence[TrainingRun],
    *,
    is_training: bool,
    now: int,
) -> Due | NotDue:
    """Decide whether to train.

    `usable` are the sessions that have episodes, `trainings` the trainings so far, newest first,
    and `now` is our clock in nanoseconds. A training that failed taught nothing: its sessions count
    as new, and the cooldown alone holds the next attempt back.
    """
    if is_training:
        return NotDue("a training is queued or running")
    last_done = next((training for training in trainings if training.status == "done"), None)
    known = set(last_done.sessions) if last_done else set()
    sessions = sorted(usable, key=lambda session: session.close_seq or 0)
    new = [session for session in sessions if session.session_id not in known]
    if len(new) < rule.sessions:
        return NotDue(f"{len(new)} of {rule.sessions} new sessions")
    last = trainings[0] if trainings else None
    waited = None if last is None else (now - last.started_at) / NANOSECONDS_PER_MINUTE
    if waited is not None and waited < rule.cooldown_minutes:
        return NotDue(f"{waited:.1f} of {rule.cooldown_minutes:g} minutes since the last training")
    after = last.training_id if last else "nothing"
    return Due(
        tuple(session.session_id for session in sessions),
        len(new),
        key=f"{new[-1].session_id} after {after}",
    )
