"""The commands: quick help, one line for bad input, clean Ctrl-C, and the whole path on real water."""

import subprocess
import sys

import pytest

import bayescg as bcg
from bayescg.cli import main, pipeline, sources
from bayescg.cli.settings import FIELDS, Settings, as_toml

HEAVY = ("jax", "numpy", "xarray", "matplotlib", "jax_md", "MDAnalysis")


@pytest.fixture(scope="module")
def beads(tmp_path_factory):
    """A file of mapped water, our own schema."""
    path = tmp_path_factory.mktemp("beads") / "water.nc"
    bcg.data.to_file(bcg.data.water(frames=16), path)
    return path


def few(beads, output):
    """A quick fit of it."""
    words = "fit --map beads --temperature 300 --knots 10 --sampler conjugate --chains 2 --draws 50"
    return [*words.split(), "--simulate-draws", "0", "--trajectory", str(beads), "--output", str(output)]


def test_help_is_quick():
    program = (
        "import sys\nfrom bayescg.cli import main\n"
        "try:\n    main(['fit', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout + result.stderr


def test_every_setting_is_a_flag(capsys):
    with pytest.raises(SystemExit) as end:
        main(["fit", "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert all(f"--{name.replace('_', '-')}" in shown for name in FIELDS)


def test_version_is_printed(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"bayescg {bcg.__version__}\n"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ([], "trajectory must name at least one file"),
        (
            ["--trajectory", "none.trr", "--temperature", "300"],
            "trajectory must be a file that exists, got 'none.trr'",
        ),
        (["--trajectory", "{beads}", "--map", "beads"], "temperature must be given"),
        (["--trajectory", "{beads}", "--map", "bead", "--temperature", "300"], "map must be one of residue"),
        (
            ["--trajectory", "{beads}", "--map", "beads", "--temperature", "-3"],
            "temperature must be positive, got -3",
        ),
        (["--trajectory", "{beads}", "--map", "beads", "--temperature", "300", "--cutoff", "2"], "half"),
        (
            ["--trajectory", "{beads}", "--map", "beads", "--temperature", "300", "--frames", "x"],
            "frames must be begin",
        ),
        (["--config", "none.toml"], "config must be a file that exists"),
    ],
    ids=["nothing", "no file", "no temperature", "map", "temperature", "cutoff", "frames", "config"],
)
def test_bad_input_ends_in_one_line_and_leaves_no_output(
    flags, complaint, beads, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = [word.format(beads=beads) for word in flags]
    assert main(["fit", *words, "--output", "out", "--knots", "10"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bayescg: error: ")]
    assert complaint in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_named_before_any_work(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "was not written by bayescg" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_fit_by_flags_and_by_file_are_the_same_run(beads, tmp_path, monkeypatch):
    """Both reach the pipeline of the demo, with equal settings and equal beads."""
    runs = []

    def record(settings, read, read_dynamics, **_):
        assert read_dynamics() is None
        runs.append((settings, read()))
        return "done"

    monkeypatch.setattr(pipeline, "run", record)
    assert main(few(beads, tmp_path / "out")) == 0
    config = tmp_path / "run.toml"
    config.write_text(as_toml(runs[0][0]))
    assert main(["fit", "--config", str(config)]) == 0
    assert runs[0][0] == runs[1][0]
    assert runs[0][0].sampler == "conjugate"
    assert runs[0][1].identical(runs[1][1])
    assert runs[0][1].sizes["bead"] == 510


def test_ctrl_c_keeps_the_checkpoint_and_no_output(beads, tmp_path, capsys, monkeypatch):
    def interrupted(*_, checkpoint, **__):
        checkpoint.mkdir(parents=True)
        raise KeyboardInterrupt("Interrupted: 50 of 100 iterations are kept in x. Call again")

    monkeypatch.setattr(pipeline, "compute", interrupted)
    assert main(few(beads, tmp_path / "out")) == 130
    shown = capsys.readouterr().err
    assert "Interrupted: 50 of 100 iterations are kept in x. The same command goes on from there." in shown
    assert [path.name for path in tmp_path.iterdir()] == ["out.checkpoint"]


def test_a_fault_of_ours_is_not_dressed_as_bad_input(beads, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise TypeError("a bug")

    monkeypatch.setattr(pipeline, "compute", broken)
    with pytest.raises(TypeError, match="a bug"):
        main(few(beads, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("residue", "CenterOfMass"),
        ("molecule", "CenterOfMass"),
        ("geometry:residue", "CenterOfGeometry"),
        ("slice:name OW", "AggregatedForces"),
        ({"W": ["OW"]}, "CenterOfMass"),
        ("beads", "NoneType"),
    ],
)
def test_every_map_has_its_class(name, kind):
    assert type(sources.mapping_of(name)).__name__ == kind


@pytest.mark.parametrize("name", ["", "slice:", "geometry", "residues", "beads:x"])
def test_other_maps_are_refused(name):
    with pytest.raises(bcg.BayescgError, match="map must be one of"):
        sources.mapping_of(name)


def test_atoms_are_read_and_mapped(tmp_path):
    atoms = bcg.data.synthetic.rigid_water(frames=6, molecules=8)
    path = bcg.data.to_file(atoms, tmp_path / "water.nc")
    settings = Settings(trajectory=(str(path),), temperature=300.0, map="residue", frames="2::2")
    beads = sources.own_beads(settings)
    assert (beads.sizes["bead"], beads.sizes["frame"]) == (8, 2)


def test_settings_choose_the_sampler():
    chosen = pipeline.sampler_of(Settings(engine="numpyro", draws=7, warmup=8, chains=3)).settings()
    assert {
        "sampler": "NUTS",
        "engine": "numpyro",
        "draws": 7,
        "warmup": 8,
        "chains": 3,
    }.items() <= chosen.items()
