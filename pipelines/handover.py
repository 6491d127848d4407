"""What one asset left for the next: the metadata of its latest materialisation."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg


def left_by(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """Give the values that an asset's latest materialisation tells by name.

    Small values only are handed over like this; a file that they name is read by `text_left_by`.
    Raises `dg.Failure` where the asset was never materialised.
    """
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    materialization = event.asset_materialization if event else None
    if materialization is None:
        raise dg.Failure(f"{asset} was never materialised; run it first", allow_retries=False)
    return {name: value.value for name, value in materialization.metadata.items()}


def text_left_by(left: Mapping[str, Any]) -> str:
    """Read the file that an asset left at `path`.

    Raises `dg.Failure` where it is gone, or its bytes are not those of the `sha256` beside it.
    """
    path = Path(left["path"])
    try:
        content = path.read_bytes()
    except OSError as gone:
        raise dg.Failure(f"{path} cannot be read: {gone}", allow_retries=False) from gone
    found = hashlib.sha256(content).hexdigest()
    if found != left["sha256"]:
        raise dg.Failure(
            f"{path} has sha256 {found[:12]}, its asset left {left['sha256'][:12]}: "
            f"materialise it again",
            allow_retries=False,
        )
    return content.decode()
