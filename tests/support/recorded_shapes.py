"""The shape of JSON bodies: keys, types and formats of text, so that two bodies can be compared.

What the venue answers is compared with what Kalshi's own exchange answered: a key that was recorded
must be there, in the same type and the same format (4-decimal dollars, 2-decimal counts, times with
Z, UUIDs), and null only where null was recorded. More keys than were recorded are no fault.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The first that matches names the format; text that matches none is "text", the empty one too.
FORMATS = {
    "4-decimal dollars": re.compile(r"-?\d+\.\d{4}"),
    "2-decimal count": re.compile(r"-?\d+\.\d{2}"),
    "6-decimal dollars": re.compile(r"-?\d+\.\d{6}"),
    "time with Z": re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
# A whole number may stand where a fraction was recorded, not the other way round.
WIDER = {"whole number": {"whole number", "number"}}


@dataclass
class Shape:
    """What was seen at one place of one or many bodies."""

    kinds: set[str] = field(default_factory=set)
    objects: int = 0
    keys: dict[str, "Shape"] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    items: "Shape | None" = None

    def add(self, value: Any) -> None:
        """Take in one more value seen here."""
        self.kinds.add(kind_of(value))
        if isinstance(value, dict):
            self._add_keys(value)
        elif isinstance(value, list) and value and not isinstance(value[0], dict | list):
            # A list of plain values is a tuple: each place has a format of its own.
            self._add_keys({str(place): item for place, item in enumerate(value)})
        elif isinstance(value, list):
            self.items = self.items or Shape()
            for item in value:
                self.items.add(item)

    def _add_keys(self, value: Mapping[str, Any]) -> None:
        self.objects += 1
        for key, inner in value.items():
            self.seen[key] = self.seen.get(key, 0) + 1
            self.keys.setdefault(key, Shape()).add(inner)

    def problems(self, recorded: "Shape", without: Mapping[str, str], where: str) -> Iterable[str]:
        """Give where this, which we told, is not what was recorded."""
        # Of a place where only null was recorded nothing else is known.
        strange = self.kinds if recorded.kinds != {"null"} else set()
        for kind in sorted(strange):
            if not WIDER.get(kind, {kind}) & recorded.kinds:
                yield f"{where} is {kind}, recorded as {' or '.join(sorted(recorded.kinds))}"
        if self.objects:
            yield from self._key_problems(recorded, without, where)
        if self.items is not None and recorded.items is not None:
            if not self.items.kinds and recorded.items.kinds:
                yield f"{where} is empty, recorded with items"
            yield from self.items.problems(recorded.items, without, f"{where}[]")

    def _key_problems(
        self, recorded: "Shape", without: Mapping[str, str], where: str
    ) -> Iterable[str]:
        for key, inner in recorded.keys.items():
            here = f"{where}.{key}"
            if key in without:
                continue
            if key not in self.keys:
                yield f"{here} is missing"
                continue
            if recorded.seen[key] == recorded.objects and self.seen[key] < self.objects:
                yield f"{here} is sometimes missing, recorded always"
            yield from self.keys[key].problems(inner, without, here)


def kind_of(value: Any) -> str:
    """Name the JSON type of a value; of text, its format."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "whole number"
        case float():
            return "number"
        case list():
            return "list"
        case dict():
            return "object"
    return next((name for name, form in FORMATS.items() if form.fullmatch(value)), "text")


def shape_problems(
    told: Sequence[Any], recorded: Sequence[Any], without: Mapping[str, str]
) -> list[str]:
    """Compare the shape of all bodies that were told with that of all that were recorded.

    A key that every recorded object has must stand in every one of ours; one that some have, in at
    least one of ours. `without` names the keys that are not told, each with the reason.
    """
    ours, theirs = Shape(), Shape()
    for body in told:
        ours.add(body)
    for body in recorded:
        theirs.add(body)
    return list(ours.problems(theirs, without, "$"))
