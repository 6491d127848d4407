"""A file is replaced whole or not at all."""

import hashlib

import pytest

from pipelines.resources import replace_file


def test_a_file_is_put_in_place_with_the_hash_of_its_bytes(tmp_path):
    path = tmp_path / "deep" / "file"

    digest = replace_file(path, lambda partial: partial.write_bytes(b"new"))

    assert path.read_bytes() == b"new"
    assert digest == hashlib.sha256(b"new").hexdigest()


def test_a_writer_that_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(partial):
        partial.write_bytes(b"ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
