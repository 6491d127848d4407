"""The file `.env` that a running stack writes, so that programs started by hand find it."""

from collections.abc import Mapping
from pathlib import Path

from kalshiflow.stack.errors import ForeignEnvFile
from kalshiflow.stack.files import write_private

_HEAD = (
    "# Written by `kalshiflow up` and removed by `kalshiflow down`; changes here are lost.\n"
    "# Your own variables belong in .env.local, .env.paper or .env.production.\n"
)


def is_ours(path: Path) -> bool:
    """Tell whether a stack wrote this file."""
    return path.exists() and path.read_text().startswith(_HEAD.split("\n", 1)[0])


def check_env_file(path: Path) -> None:
    """Raise `ForeignEnvFile` where `path` holds what we did not write."""
    if path.exists() and not is_ours(path):
        raise ForeignEnvFile(
            f"{path} was not written by `kalshiflow up`; move its lines to .env.local "
            f"(or .env.paper, .env.production) and remove it"
        )


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Write the variables, readable by their owner only."""
    lines = [f"{name}={_quoted(text)}\n" for name, text in sorted(variables.items())]
    write_private(path, (_HEAD + "".join(lines)).encode())


def _quoted(text: str) -> str:
    if "\n" in text or "'" in text:
        raise ValueError(f"a line break or a quote in {text!r} cannot be written to an env file")
    return f"'{text}'"
