"""The output folder appears whole or not at all, and nobody else's files are touched."""

import pytest

import bayescg as bcg
from bayescg.cli.output import MARKER, output_folder


def fill(target, text):
    with output_folder(target) as folder:
        (folder / "summary.txt").write_text(text)


def test_it_appears_at_the_end(tmp_path):
    target = tmp_path / "deep" / "out"
    with output_folder(target) as folder:
        (folder / "summary.txt").write_text("x")
        assert not target.exists()
    assert {file.name for file in target.iterdir()} == {MARKER, "summary.txt"}
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(IsADirectoryError), output_folder(tmp_path / "out") as folder:
        folder.write_text("a folder is no file")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_output_is_replaced_whole(tmp_path):
    fill(tmp_path / "out", "old")
    (tmp_path / "out" / "report.html").write_text("old")
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "summary.txt").read_text() == "new"
    assert not (tmp_path / "out" / "report.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_the_earlier_output(tmp_path):
    fill(tmp_path / "out", "old")
    with pytest.raises(KeyError), output_folder(tmp_path / "out"):
        raise KeyError("bad")
    assert (tmp_path / "out" / "summary.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(bcg.BayescgError, match="was not written by bayescg"):
        fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_foreign_files_in_our_folder_are_left_alone(tmp_path):
    fill(tmp_path / "out", "old")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(bcg.BayescgError, match=r"did not write \(notes.txt\)"):
        fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_foreign_files_that_come_meanwhile_are_left_alone(tmp_path):
    fill(tmp_path / "out", "old")
    with pytest.raises(bcg.BayescgError, match=r"notes.txt"), output_folder(tmp_path / "out"):
        (tmp_path / "out" / "notes.txt").write_text("mine")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(bcg.BayescgError, match="must be a folder"):
        fill(tmp_path / "out", "new")
    assert (tmp_path / "out").read_text() == "a file"


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "summary.txt").read_text() == "new"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(bcg.BayescgError, match="can be written"):
        fill(tmp_path / "file" / "out", "new")
