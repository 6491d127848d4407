"""What is told of recorded sessions as a whole: their certificates, and which are refused."""

from kalshiflow.store.certificate import Certificate, from_json
from kalshiflow.store.read import SessionRow

TRAINABLE = ("ok", "gaps")  # episodes are cut at the gaps
NOTHING_HAPPENED = "no market's book changed in it: there is nothing to learn from"


def certificate_of(session: SessionRow) -> Certificate | None:
    """Read the certificate that stands with a session."""
    return None if session.certificate is None else from_json(session.certificate)


def refusal_of(session: SessionRow) -> str | None:
    """Say why nothing can be learned from a session; `None` where it can."""
    if session.verdict is None:
        return f"it is {session.status} and has no verdict yet"
    if session.verdict not in TRAINABLE:
        return f"its verdict is {session.verdict}: {session.verdict_reason or 'no reason given'}"
    if session.traded or session.origin == "trader":
        return "our own trader took part in it"
    return None


def refusal_in(session: SessionRow, environment: str) -> str | None:
    """Say why a session teaches nothing about the exchange of `environment`, if it does not."""
    if session.environment != environment:
        return f"it was recorded on {session.environment}, the policy is for {environment}"
    return refusal_of(session)
