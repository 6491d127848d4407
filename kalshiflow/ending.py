"""How tasks that work together end together, with one error that says why."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any


class ShutdownRequested(Exception):
    """A signal, or the caller, asked for the end."""


@asynccontextmanager
async def ended_by(stop: asyncio.Event) -> AsyncIterator[asyncio.TaskGroup]:
    """Give a group of tasks; it and the block end with `ShutdownRequested` once `stop` is set."""
    with unwrapped():
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_until(stop), name="stop")
            yield group
            waiting.cancel()


@asynccontextmanager
async def beside(**works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let these work as long as the block lasts, or until one of them fails."""
    with unwrapped():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work, name=name) for name, work in works.items()]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise an error that was alone in its group by itself; a request to end yields to others."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        others = [error for error in errors if not isinstance(error, ShutdownRequested)]
        if len(others) > 1:
            raise
        raise (others or errors)[0] from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
    raise ShutdownRequested
