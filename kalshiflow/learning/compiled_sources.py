"""What a pure function is made of: all that it calls and uses, however far down, and its hash."""

import dis
import hashlib
from collections.abc import Callable, Iterator
from enum import EnumType, IntEnum
from functools import cache
from inspect import CO_NESTED
from math import sqrt
from types import CodeType, FunctionType
from typing import Any, NewType, cast

_BUILTINS = frozenset({"abs", "min", "max", "len", "range", "int", "float", "bool"})


class NotCompilable(TypeError):
    """A function that is not of the kind that is compiled; names it and what stands in the way."""


def functions_in(function: Callable[..., Any]) -> dict[str, FunctionType]:
    """Give a function and all that it calls, however far down, by module and name."""
    found: dict[str, FunctionType] = {}
    waiting = [plain(function)]
    while waiting:
        one = waiting.pop()
        found[_name(one)] = one
        callees = (value for _, value in globals_of(one) if isinstance(value, FunctionType))
        waiting.extend(callee for callee in callees if _name(callee) not in found)
    return found


def globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give the global names that a function uses, builtins left out, and what they stand for."""
    for name in sorted(set(_global_uses(function.__code__))):
        if name not in function.__globals__:
            if name not in _BUILTINS:
                raise NotCompilable(f"{_name(function)} uses {name}, which cannot be compiled")
            continue
        value = function.__globals__[name]
        if not _is_known(value):
            raise NotCompilable(
                f"{_name(function)} uses {name}, a {type(value).__name__}: only functions, whole "
                f"numbers, floats, tuples of them, IntEnums and NewTypes are compiled"
            )
        yield name, value


def _is_known(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(one, int | float) for one in value)
    if isinstance(value, type):
        return issubclass(value, IntEnum)
    return value is sqrt or isinstance(value, FunctionType | NewType | int | float)


@cache
def _global_uses(code: CodeType) -> tuple[str, ...]:
    steps = dis.get_instructions(code)
    return tuple(step.argval for step in steps if step.opname == "LOAD_GLOBAL")


@cache
def steps_in(function: FunctionType) -> int:
    """Give how many steps a function has with all that it calls put in."""
    called = (function.__globals__.get(name) for name in _global_uses(function.__code__))
    inside = sum(steps_in(one) for one in called if isinstance(one, FunctionType))
    return len(function.__code__.co_code) // 2 + inside


def plain(function: Callable[..., Any]) -> FunctionType:
    """Give a plain function as one; raises `NotCompilable` for whatever else can be called."""
    if not isinstance(function, FunctionType):
        raise NotCompilable(f"{function!r} is no plain function")
    return function


def _check(function: FunctionType) -> None:
    code = function.__code__
    if code.co_flags & CO_NESTED or any(isinstance(one, CodeType) for one in code.co_consts):
        raise NotCompilable(f"{_name(function)} holds a function or stands in one")
    if function.__defaults__ or function.__kwdefaults__:
        raise NotCompilable(f"{_name(function)} has default arguments")


def sources_key(function: Callable[..., Any]) -> str:
    """Give the hash of a function's code and of all that it calls and uses."""
    return _hashed(plain(function), {})


def _hashed(function: FunctionType, known: dict[FunctionType, str]) -> str:
    """Hash a function's code with what its globals stand for; `known` has the hashes so far."""
    if function in known:
        if not known[function]:
            raise NotCompilable(f"{_name(function)} calls itself")
        return known[function]
    known[function] = ""
    _check(function)
    parts = [_name(function), *_code_parts(function.__code__)]
    for name, value in globals_of(function):
        is_function = isinstance(value, FunctionType)
        parts += [name, _hashed(value, known) if is_function else _constant(value)]
    known[function] = digest(*parts)
    return known[function]


def _constant(value: Any) -> str:
    if isinstance(value, EnumType):
        return repr([(one.name, one.value) for one in cast("type[IntEnum]", value)])
    return f"{type(value).__name__} {value!r}"


def _code_parts(code: CodeType) -> list[str]:
    shape = (code.co_argcount, code.co_flags, code.co_varnames, code.co_names, code.co_consts)
    return [code.co_code.hex(), code.co_exceptiontable.hex(), repr(shape)]


def digest(*parts: str) -> str:
    """Give the sha256 of some texts, each told from the next."""
    whole = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode()).hexdigest()


def _name(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"
