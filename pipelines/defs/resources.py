"""The resources as programs use them: every value from the variables, at run time."""

from collections.abc import Mapping

from pipelines.resources import Database, DataFolder, Policies, Variables


def resources(overrides: Mapping[str, str] | None = None) -> dict[str, Variables]:
    """Give every resource by its name in assets; `overrides` go before the environment."""
    texts = dict(overrides or {})
    return {
        "variables": Variables(overrides=texts),
        "database": Database(overrides=texts),
        "policies": Policies(overrides=texts),
        "data_folder": DataFolder(overrides=texts),
    }
