"""What is to happen on the floor at a market time: expiries, closes, settlements."""

import heapq
from collections.abc import Callable

Action = Callable[[int], None]


class Agenda:
    """Actions by their market time; equal times in the order in which they were added."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Action]] = []
        self._added = 0

    def add(self, at: int, action: Action) -> None:
        """Let `action(at)` happen at a market time."""
        self._added += 1
        heapq.heappush(self._due, (at, self._added, action))

    def next_at(self) -> int | None:
        """Give the market time of the next action; `None` where there is none."""
        return self._due[0][0] if self._due else None

    def run(self, until: int) -> None:
        """Let everything happen that is due by `until`, each at its own time."""
        while self._due and self._due[0][0] <= until:
            at, _, action = heapq.heappop(self._due)
            action(at)
