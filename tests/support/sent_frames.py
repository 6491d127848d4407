"""What a venue sent, by its own log: the frames of each connection, in order, and those it lost."""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from plain_frames import Fact, fact_of


@dataclass
class SentConnection:
    """One connection. `began_at` is the venue's clock at its first entry, in nanoseconds.

    `dropped` holds (sid, seq) of the frames that a fault kept back for good. The texts stay in the
    log until they are asked for: an hour of them is long.
    """

    log: Path
    number: int
    key_id: str
    began_at: int
    ended_at: int = 0
    places: array = field(default_factory=lambda: array("q"))
    dropped: list[tuple[int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"connection {self.number} of {self.log.name}"

    def texts(self) -> Iterator[str]:
        """Give the frames as they were sent."""
        with self.log.open("rb") as file:
            for place in self.places:
                file.seek(place)
                yield json.loads(file.readline())["text"]

    def frames(self) -> Iterator[tuple[str, Fact]]:
        """Give the frames with what they say."""
        return ((text, fact_of(text)) for text in self.texts())


def connections(logs: Iterable[Path]) -> list[SentConnection]:
    """Read the logs of one venue after another; gives the connections by their beginning."""
    found = [connection for log in logs for connection in _connections(log)]
    return sorted(found, key=lambda connection: connection.began_at)


def _connections(log: Path) -> list[SentConnection]:
    found: dict[int, SentConnection] = {}
    place = 0
    with log.open("rb") as file:
        for line in file:
            entry = json.loads(line) if line.endswith(b"\n") else {"kind": "torn"}
            if entry["kind"] in {"frame", "command", "fault"} and "session" in entry:
                number = entry["session"]
                connection = found.get(number)
                if connection is None:
                    connection = found[number] = SentConnection(
                        log, number, entry["key_id"], entry["wall_ns"]
                    )
                connection.ended_at = entry["wall_ns"]
                if entry["kind"] == "frame":
                    connection.places.append(place)
                elif entry["kind"] == "fault" and entry["fault"].startswith("drop"):
                    frame = json.loads(entry["text"])
                    if frame.get("seq") is not None:
                        connection.dropped.append((frame["sid"], frame["seq"]))
            place += len(line)
    return list(found.values())
