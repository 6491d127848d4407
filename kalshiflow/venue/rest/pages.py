"""Pages of lists, and the cursors between them: what is added meanwhile shifts no page."""

import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
LONGEST_CURSOR = 512
# Where an item stands in its list: a number first, then a name among equals.
Place = tuple[int, str]


def page(
    items: Sequence[ItemT],
    cursor: str | None,
    limit: int,
    place: Callable[[ItemT], Place],
    *,
    is_falling: bool = False,
) -> tuple[Sequence[ItemT], str]:
    """Cut one page out of a list; give it with the cursor of the next, empty after the last.

    The list is sorted by `place`, which is each item's own for good (`is_falling`: the last
    first). A cursor names the place of a page's last item, so that what is added or taken away
    meanwhile neither repeats nor hides another. One that is none of ours begins anew, as at Kalshi.
    """
    after = place_of(cursor)
    begin = 0
    if after is not None:
        begin = bisect_left(
            items,
            1,
            key=lambda item: place(item) < after if is_falling else place(item) > after,
        )
    end = begin + limit
    part = items[begin:end]
    return part, cursor_of(place(part[-1])) if end < len(items) else ""


def newest_first(
    items: Sequence[ItemT], wanted: Callable[[ItemT], bool], cursor: str | None, limit: int
) -> tuple[list[ItemT], str]:
    """Give a page of what is `wanted` of a list that only grows, last first.

    It comes with the cursor of the next page, empty after the end. Places are counted from the
    first item, so that items which are added meanwhile move none. A cursor that is none of ours
    begins anew.
    """
    begin = _index(cursor)
    end = len(items) if begin is None else min(begin, len(items))
    found: list[ItemT] = []
    for index in range(end - 1, -1, -1):
        if not wanted(items[index]):
            continue
        if len(found) == limit:
            return found, _cursor_at(index + 1)
        found.append(items[index])
    return found, ""


def oldest_first(
    items: Sequence[ItemT], wanted: Callable[[ItemT], bool], cursor: str | None, limit: int
) -> tuple[list[ItemT], str]:
    """Give a page of what is `wanted` of a list that only grows, first first."""
    found: list[ItemT] = []
    for index in range(_index(cursor) or 0, len(items)):
        if not wanted(items[index]):
            continue
        if len(found) == limit:
            return found, _cursor_at(index)
        found.append(items[index])
    return found, ""


def cursor_of(place: Place) -> str:
    """Write the cursor that names a place."""
    number, name = place
    return base64.urlsafe_b64encode(f"{number}/{name}".encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Place | None:
    """Read a cursor; `None` for one that is none of ours."""
    if not cursor or len(cursor) > LONGEST_CURSOR:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    digits, slash, name = text.partition("/")
    if not slash or not digits.isascii() or not digits.isdecimal() or len(digits) > 19:
        return None
    return int(digits), name


def _cursor_at(index: int) -> str:
    return cursor_of((index, ""))


def _index(cursor: str | None) -> int | None:
    place = place_of(cursor)
    return None if place is None else place[0]
