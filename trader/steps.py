"""What the conductor needs done in the trader's states, by whoever can."""

from typing import Protocol

from trader.reconcile import Squared


class Steps(Protocol):
    """The work behind the states, and the conditions that they depend on."""

    async def find_markets(self) -> str:
        """Choose the markets and begin to follow them; gives what was found, in words."""

    async def check_client(self) -> str:
        """See that the exchange takes our signed requests; gives what it answered, in words."""

    async def square(self) -> Squared:
        """Square the account."""

    async def stop_orders(self) -> None:
        """Cancel what rests, without squaring."""

    def books_ready(self) -> tuple[int, int]:
        """Give how many books can be trusted, and of how many."""

    def is_connected(self) -> bool:
        """Say whether frames are coming in."""

    def connection_problem(self) -> str | None:
        """Say why they are not."""

    def exchange_trades(self) -> bool:
        """Say whether the exchange takes orders now."""
