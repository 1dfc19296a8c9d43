"""Settings: flags win over the file, the file over the defaults; what is not known is named."""

import dataclasses

import pytest

import bayescg as bcg
from bayescg.cli.settings import FIELDS, Settings, as_toml, read_settings


def write(folder, text):
    path = folder / "run.toml"
    path.write_text(text)
    return str(path)


def test_flag_wins_over_file_and_file_over_default(tmp_path):
    config = write(tmp_path, "cutoff = 1.1\nknots = 30\n")
    found = read_settings({"cutoff": 1.2, "knots": None, "draws": None}, config)
    assert (found.cutoff, found.knots, found.draws) == (1.2, 30, Settings().draws)


def test_dashes_and_underscores_name_the_same_key(tmp_path):
    assert read_settings({}, write(tmp_path, "simulate-draws = 3\n")).simulate_draws == 3
    assert read_settings({}, write(tmp_path, "simulate_draws = 3\n")).simulate_draws == 3


def test_an_unknown_key_is_refused_with_all_that_are_known(tmp_path):
    with pytest.raises(bcg.BayescgError, match=r"'cutof' in .*run\.toml is not a known setting") as caught:
        read_settings({}, write(tmp_path, "cutof = 0.9\n"))
    assert all(name in str(caught.value) for name in FIELDS)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("knots = 24.5", "knots must be a whole number, got 24.5"),
        ("knots = true", "knots must be a whole number, got True"),
        ('cutoff = "long"', "cutoff must be a number, got 'long'"),
        ("trajectory = [1]", "trajectory must be a list of paths"),
        ("output = 3", "output must be a string, got 3"),
        ('sampler = "gibbs"', "sampler must be one of nuts, conjugate, got 'gibbs'"),
        ("cutoff =", "config must be a TOML file"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path, line, complaint):
    with pytest.raises(bcg.BayescgError) as caught:
        read_settings({}, write(tmp_path, line))
    assert complaint in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(bcg.BayescgError, match="config must be a file that exists"):
        read_settings({}, str(tmp_path / "none.toml"))


def test_one_path_is_a_list_of_one(tmp_path):
    assert read_settings({}, write(tmp_path, 'trajectory = "a.trr"\n')).trajectory == ("a.trr",)


@pytest.mark.parametrize("named", ["residue", {"HEAD": ["C1", 'H"1'], "TAIL": ["C2"]}], ids=["name", "table"])
def test_written_settings_read_back_alike(tmp_path, named):
    settings = Settings(
        trajectory=("a b.trr", "c.trr"), temperature=300.0, map=named, start=0.24, units="real"
    )
    assert read_settings({}, write(tmp_path, as_toml(settings))) == settings


def test_every_setting_is_written():
    given = Settings(
        topology="t", trajectory=("x",), temperature=1.0, units="u", selection="s", frames=":", start=0.1,
        checkpoint="c", dynamics=("y",),
    )  # fmt: skip
    written = {line.partition(" = ")[0] for line in as_toml(given).splitlines()}
    assert written == {field.name for field in dataclasses.fields(Settings)}
