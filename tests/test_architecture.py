"""The rules of the repository's shape: import directions, and settings that are all documented."""

import subprocess
import sys
from pathlib import Path

import pytest

from kalshiflow.settings import PROGRAMS, REPLACED, VARIABLES

ROOT = Path(__file__).resolve().parent.parent


def test_imports_keep_their_directions():
    linter = Path(sys.executable).with_name("lint-imports")

    checked = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_each_variable_says_what_it_is_and_who_reads_it(variable):
    assert variable.meaning
    assert variable.programs
    assert set(variable.programs) <= set(PROGRAMS)
    if variable.default is not None:
        variable.read(variable.default)


def test_each_variable_is_listed_once_and_not_as_a_replaced_one():
    names = [variable.name for variable in VARIABLES]

    assert len(names) == len(set(names))
    assert not set(names) & set(REPLACED)


def test_every_package_is_installed():
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    tops = ("kalshiflow", "streaming", "pipelines", "trader", "app_streamlit")
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in tops
        for file in (ROOT / top).rglob("__init__.py")
    }

    assert found == set(listed)
