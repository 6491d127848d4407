"""The outlet: what it notes of each connection."""

from collections.abc import Mapping

from kalshiflow.market.units import Cash
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.faults.outlet import WatchedOutlet
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.log import NoLog
from kalshiflow.venue.websocket.sessions import Session


class Notes(NoLog):
    """A log that is a list."""

    is_kept = True

    def __init__(self) -> None:
        self.entries: list[Mapping[str, object]] = []

    def note(self, kind: str, entry: Mapping[str, object]) -> None:
        self.entries.append({"kind": kind, **entry})


def test_a_connection_has_its_own_number_whenever_it_is_first_noted() -> None:
    notes = Notes()
    outlet = WatchedOutlet(Faults(7, lambda: 0, lambda key_id: key_id), notes)
    account = Account("somebody", Cash(0), key_id="key")
    first, second = (Session(account, number=number) for number in (1, 2))

    outlet.heard(second, "{}")
    outlet.let_out(first, [b"{}"])

    assert notes.entries == [
        {"kind": "command", "session": 2, "key_id": "key", "text": "{}"},
        {"kind": "frame", "session": 1, "key_id": "key", "text": "{}"},
    ]
