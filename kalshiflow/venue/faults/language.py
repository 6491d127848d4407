"""The language of faults: one line of text each, read into a value or refused in a sentence."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from kalshiflow.venue.websocket.sessions import CHANNELS

CONTROL = "control"
LONGEST = 366 * 86_400.0  # seconds
METHODS = ("GET", "POST", "PUT", "DELETE")


class WrongFault(ValueError):
    """A fault that cannot be: the sentence names the value, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, where and when. Times are seconds of the wall clock.

    Where: `channel` ("control" is that of answers to commands), `ticker`, `account` (a name or a
    key id), `method`: empty means any. `path` begins what follows /trade-api/v2.

    When: from `at` seconds after the fault was given, during `lasts` seconds (`None`: for good).
    Of what it concerns meanwhile it lets `after` pass, then strikes every `every`th, of those a
    share of `rate`, and `count` in all (`None`: no end). Frames are counted on each connection.
    """

    text: str
    kind: str
    channel: frozenset[str] = frozenset()
    ticker: frozenset[str] = frozenset()
    account: frozenset[str] = frozenset()
    method: frozenset[str] = frozenset()
    path: str = ""
    at: float = 0.0
    lasts: float | None = None
    after: int = 0
    every: int = 1
    rate: float = 1.0
    count: int | None = None
    ms: int = 0
    status: int = 503
    body: str = "html"
    lands: bool = False

    @property
    def waits_for_frames(self) -> bool:
        """Say whether frames set it off, rather than time alone."""
        return self.after > 0 or self.every > 1 or self.rate < 1


@dataclass(frozen=True, slots=True)
class _Parameter:
    read: Callable[[str], Any]
    allowed: str


@dataclass(frozen=True, slots=True)
class _Kind:
    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    if seconds > LONGEST:
        raise ValueError(text)
    return seconds


def _whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return read


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def _status(text: str) -> int:
    return HTTPStatus(_whole(400, 599)(text)).value


def _server_status(text: str) -> int:
    return HTTPStatus(_whole(500, 599)(text)).value


def _some(allowed: Iterable[str] | None = None) -> Callable[[str], list[str]]:
    known = None if allowed is None else frozenset(allowed)

    def read(text: str) -> list[str]:
        names = text.split(",")
        if not all(names) or (known is not None and not known.issuperset(names)):
            raise ValueError(text)
        return names

    return read


def _one(words: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in words:
            raise ValueError(text)
        return words[text]

    return read


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(text)
    return text


_CHANNELS = (*sorted(CHANNELS), CONTROL)
_TIME_ALLOWED = "a time such as 10, 10s, 500ms or 2m, a year at most"
PARAMETERS: Mapping[str, _Parameter] = {
    "channel": _Parameter(_some(_CHANNELS), f"one or more, with commas, of {', '.join(_CHANNELS)}"),
    "ticker": _Parameter(_some(), "one or more market tickers, with commas"),
    "account": _Parameter(_some(), "one or more account names or key ids, with commas"),
    "method": _Parameter(_some(METHODS), f"one or more, with commas, of {', '.join(METHODS)}"),
    "path": _Parameter(_path, "the beginning of a path below /trade-api/v2, such as /portfolio"),
    "at": _Parameter(_seconds, _TIME_ALLOWED),
    "for": _Parameter(_seconds, _TIME_ALLOWED),
    "after": _Parameter(_whole(0), "a whole number from 0"),
    "every": _Parameter(_whole(1), "a whole number from 1"),
    "rate": _Parameter(_share, "a share above 0 and up to 1"),
    "count": _Parameter(_whole(1), "a whole number from 1"),
    "ms": _Parameter(_whole(1, 3_600_000), "whole milliseconds from 1 to 3600000"),
    "status": _Parameter(_status, "a known HTTP status from 400 to 599"),
    "body": _Parameter(_one({"html": "html", "empty": "empty"}), "html or empty"),
    "lands": _Parameter(_one({"yes": True, "no": False}), "yes or no"),
}
# Where a kind allows something else.
_SPECIAL: Mapping[tuple[str, str], _Parameter] = {
    ("5xx", "status"): _Parameter(_server_status, "a known HTTP status from 500 to 599"),
    ("clock-skew", "ms"): _Parameter(
        _whole(-86_400_000, 86_400_000), "whole milliseconds, below 0 for a clock that is late"
    ),
}

_FRAMES = ("channel", "ticker", "account")
_REQUESTS = ("path", "method", "account")
_SPAN = ("at", "for")
_WHEN = (*_SPAN, "after", "every", "rate", "count")
KINDS: Mapping[str, _Kind] = {
    "drop": _Kind((*_FRAMES, *_WHEN)),
    "duplicate": _Kind((*_FRAMES, *_WHEN)),
    "delay": _Kind(("ms", *_FRAMES, *_WHEN), ("ms",)),
    "reorder": _Kind((*_FRAMES, *_WHEN)),
    "disconnect": _Kind((*_FRAMES, *_SPAN, "after", "rate", "count")),
    "refuse-handshakes": _Kind(("status", *_WHEN)),
    "429": _Kind((*_REQUESTS, *_WHEN)),
    "5xx": _Kind(("status", "body", "lands", *_REQUESTS, *_WHEN)),
    "timeout": _Kind(("lands", "ms", *_REQUESTS, *_WHEN), ("lands",), {"ms": 60_000}),
    "slow": _Kind(("ms", *_REQUESTS, *_WHEN), ("ms",)),
    "stale-reads": _Kind(("ms", "account", "ticker", *_SPAN), (), {"ms": 360}),
    "clock-skew": _Kind(("ms", *_SPAN), ("ms",)),
    "maintenance": _Kind(_SPAN),
}


def read_fault(text: str) -> Fault:
    """Read one fault; raises `WrongFault`."""
    words = text.split()
    kind = KINDS.get(words[0]) if words else None
    if kind is None:
        named = words[0] if words else "without a name"
        raise WrongFault(f"there is no fault {named}; there are {', '.join(KINDS)}")
    name = words[0]
    values: dict[str, Any] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals or key not in kind.takes:
            raise WrongFault(f"{name}: {word} is not known; it takes {_listed(kind.takes)}")
        if key in values:
            raise WrongFault(f"{name}: {key} is given twice")
        parameter = _SPECIAL.get((name, key)) or PARAMETERS[key]
        try:
            values[key] = parameter.read(value)
        except ValueError:
            raise WrongFault(f"{name}: {key} must be {parameter.allowed}, not {value!r}") from None
    for key in kind.needs:
        if key not in values:
            parameter = _SPECIAL.get((name, key)) or PARAMETERS[key]
            raise WrongFault(f"{name}: {key} must be given: {parameter.allowed}")
    values["lasts"] = values.pop("for", None)
    told = {"text": " ".join(words), "kind": name, **kind.defaults, **values}
    return msgspec.convert(told, Fault)


def first_faults(lines: Iterable[str], script: Path | None) -> tuple[Fault, ...]:
    """Read the faults that a venue starts with; raises `WrongFault`, or `OSError` for the file."""
    faults = (*map(read_fault, lines), *(() if script is None else read_script(script)))
    for fault in faults:
        if fault.kind == "disconnect" and not (
            fault.at or fault.waits_for_frames or fault.lasts is not None
        ):
            raise WrongFault(
                "disconnect: at the start there is no connection to end; say at=, for= or after="
            )
    return faults


def read_script(path: Path) -> tuple[Fault, ...]:
    """Read a file of faults, one a line as text or as a JSON object; raises `WrongFault`.

    Empty lines and those that begin with `#` say nothing. Raises `OSError` for an unreadable file.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise WrongFault(f"{path} is no text in UTF-8, one fault a line") from None
    faults = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            faults.append(read_fault(_spelled(line) if line.startswith("{") else line))
        except WrongFault as wrong:
            raise WrongFault(f"{path}, line {number}: {wrong}") from None
    return tuple(faults)


def _spelled(line: str) -> str:
    """Give a fault as text that is an object: its kind under "fault", the rest by its names."""
    try:
        given: dict[str, bool | int | float | str] = msgspec.json.decode(
            line, type=dict[str, bool | int | float | str]
        )
    except ValueError as problem:
        raise WrongFault(f"this is no fault as a JSON object: {problem}") from None
    words = [str(given.pop("fault", ""))]
    for name, value in given.items():
        told = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        words.append(f"{name}={told}")
    return " ".join(words)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{name}=" for name in names)
