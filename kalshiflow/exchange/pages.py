"""Lists that the exchange gives in pages, each with a cursor to the next."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from kalshiflow.exchange.errors import ProtocolError
from kalshiflow.exchange.rest import DEFAULT_COST, Params, RestSession

MOST_ITEMS = 1000  # what one page of most lists may hold

BodyT = TypeVar("BodyT")
ValueT = TypeVar("ValueT")


class _Page(Protocol):
    @property
    def cursor(self) -> str | None: ...


PageT = TypeVar("PageT", bound=_Page)


async def each_page(
    rest: RestSession,
    path: str,
    page_type: type[PageT],
    params: Params,
    size: int = MOST_ITEMS,
) -> AsyncIterator[PageT]:
    """Give all pages of a list, asking for each when it is wanted."""
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        query = {**params, "limit": size, "cursor": cursor}
        page = await rest.get(path, page_type, query, DEFAULT_COST)
        yield page
        cursor = page.cursor
        if not cursor:
            return
        if cursor in seen:
            raise ProtocolError(f"{path}: the cursor {cursor!r} came twice")
        seen.add(cursor)


async def whole_list(
    rest: RestSession,
    path: str,
    page_type: type[PageT],
    items: Callable[[PageT], Sequence[BodyT]],
    params: Params,
    enough: int | None = None,
) -> list[BodyT]:
    """Give what is listed, all pages, or pages until there is `enough`."""
    found: list[BodyT] = []
    size = MOST_ITEMS if enough is None else min(enough, MOST_ITEMS)
    async for page in each_page(rest, path, page_type, params, size):
        found.extend(items(page))
        if enough is not None and len(found) >= enough:
            break
    return found


def translated(read: Callable[[BodyT], ValueT], body: BodyT, path: str) -> ValueT:
    """Translate a body; raises `ProtocolError` where it cannot be."""
    try:
        return read(body)
    except ValueError as untranslatable:
        raise ProtocolError(f"{path}: {untranslatable}") from untranslatable
