"""Machine code that is kept on disk: loaded where it is whole and ours, made anew where not."""

import errno
import fcntl
import os
import pwd
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from made_functions import SOURCE, again, functions

from kalshiflow.learning import compiled_store
from kalshiflow.learning.compiled import key_of
from kalshiflow.market.position import fill_step


def files(folder):
    return sorted(path for path in folder.glob("*/*") if path.name != "lock")


def test_the_second_process_loads_what_the_first_compiled(kept):
    made = functions()
    first, second = again(made.high), again(made.high)
    assert first is not second
    assert (first(5), second(5)) == (18, 18)
    assert (sum(first.stats.cache_hits.values()), sum(second.stats.cache_hits.values())) == (0, 1)
    assert len(files(kept)) == 1


def test_code_that_was_kept_runs_in_a_process_that_never_compiled_it(kept):
    again(fill_step)(-700, 123_457, 0, 2_500, 333)
    script = """
        from kalshiflow.learning.compiled import compiled
        from kalshiflow.market.position import fill_step
        quick = compiled(fill_step)
        assert quick(-700, 123_457, 0, 2_500, 333) == fill_step(-700, 123_457, 0, 2_500, 333)
        print(sum(quick.stats.cache_hits.values()), sum(quick.stats.cache_misses.values()))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["1", "0"]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:-9] + b"x" * 9]
)
def test_a_damaged_file_is_compiled_anew_and_mended(kept, damage):
    made = functions()
    again(made.high)(5)
    (path,) = files(kept)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    second = again(made.high)
    assert second(5) == 18
    assert not second.stats.cache_hits
    third = again(made.high)
    assert third(5) == 18
    assert third.stats.cache_hits


def test_without_a_folder_to_write_to_it_compiles_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert again(functions().high)(5) == 18


def test_of_two_at_once_one_compiles_and_the_other_loads(kept):
    made = functions()
    both = [again(made.high), again(made.high)]
    threads = [threading.Thread(target=one, args=(5,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sum(one.stats.cache_hits.values()) for one in both) == [0, 1]


def test_a_process_that_never_ends_its_work_is_not_waited_for_for_ever(kept, monkeypatch):
    monkeypatch.setattr(compiled_store, "_PATIENCE_SECONDS", 0.2)
    made = functions()
    folder = kept / key_of(made.high)
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert again(made.high)(5) == 18


def test_code_that_nobody_used_for_long_is_removed(kept):
    made = functions()
    again(made.high)(5)
    (old,) = kept.iterdir()
    os.utime(old, (0, 0))
    again(functions(SOURCE.replace("STEP = 3", "STEP = 5")).high)(5)
    assert not old.exists()
    assert len(files(kept)) == 1


def test_only_this_user_may_write_where_code_is_kept(kept):
    kept.mkdir(parents=True)
    kept.chmod(0o777)
    again(functions().high)(5)
    (path,) = files(kept)
    for one in (path, *path.parents[:3]):
        assert not one.stat().st_mode & 0o022, one


def test_code_that_others_may_write_is_not_run_but_made_anew(kept):
    made = functions()
    again(made.high)(5)
    (path,) = files(kept)
    path.chmod(0o666)
    second, third = again(made.high), again(made.high)
    assert (second(5), third(5)) == (18, 18)
    assert not second.stats.cache_hits
    assert third.stats.cache_hits


def test_code_of_another_user_is_not_run(kept, monkeypatch):
    made = functions()
    again(made.high)(5)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    second = again(made.high)
    assert second(5) == 18
    assert not second.stats.cache_hits


def test_a_user_without_a_home_compiles_and_keeps_nothing(monkeypatch):
    def unknown(_):
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert again(functions().high)(5) == 18


def test_a_cache_home_that_is_no_whole_path_is_not_followed(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert compiled_store.folder() == Path.home() / ".cache" / "kalshiflow" / "compiled"


def test_where_files_cannot_be_locked_nobody_is_waited_for(kept, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(compiled_store.time, "sleep", lambda _: pytest.fail("it waited"))
    assert again(functions().high)(5) == 18
