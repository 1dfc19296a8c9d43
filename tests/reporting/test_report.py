"""The report is one valid page that needs nothing else, and appears whole or not at all."""

import base64
import html.parser
import os

import pytest
import xarray as xr
from matplotlib.figure import Figure

import bayescg as bcg
from bayescg.reporting import page
from bayescg.reporting.sections import verdict
from bayescg.reporting.sentences import warnings_of

FIGURES = ("potential", "rank", "trace", "spectrum", "observable")

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(html.parser.HTMLParser):
    """Collects what breaks the rules of a self-contained page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.images, self.headings, self.language = [], [], [], [], None
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "html":
            self.language = attributes.get("lang")
        if tag in {"script", "link", "iframe", "object", "embed"}:
            self.faults.append(f"<{tag}>")
        if tag == "img":
            self.images.append(attributes.get("src") or "")
            if not attributes.get("alt"):
                self.faults.append("image without alt")
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data"} and not (value or "").startswith(
                ("data:image/", "#")
            ):
                self.faults.append(f"{name}={value}")
            if name.startswith("on"):
                self.faults.append(f"script in {name}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if self.open and self.open[-1] == "style" and ("url(" in data or "@import" in data):
            self.faults.append("resource in style")


@pytest.fixture
def plain_figures(monkeypatch):
    """Empty figures, for tests of everything else."""
    for name in FIGURES:
        empty = lambda *_, **__: Figure(figsize=(1, 1))  # noqa: E731
        monkeypatch.setattr(f"bayescg.reporting.sections.viz.plot_{name}", empty)


@pytest.fixture(scope="module")
def text(tmp_path_factory, result, identified, simulated, reference):
    path = tmp_path_factory.mktemp("report") / "water.html"
    assert bcg.report(path, result, identified, simulated, reference=reference) == path
    return path.read_text(encoding="utf-8")


def test_page_is_valid_and_needs_nothing_from_outside(text):
    found = Checker(text)
    assert found.faults == []
    assert found.language == "en"
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ('<img alt="x" src="https://host/x.png">', "src=https://host/x.png"),
        ('<img src="data:image/png;base64,AA">', "image without alt"),
        ("<p>open", "</section> closes nothing"),
        ("<script>1</script>", "<script>"),
        ('<p onclick="x">a</p>', "script in onclick"),
        ('<link href="#a">', "<link>"),
    ],
)
def test_a_planted_fault_is_seen(planted, fault):
    assert fault in Checker(page.page("t", "s", [("A", [planted])])).faults


def test_every_figure_is_embedded(text):
    images = Checker(text).images
    assert len(images) == 5  # potential, ranks, traces, spectrum, g(r)
    for source in images:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,"))[:8] == b"\x89PNG\r\n\x1a\n"


def test_sections_stand_in_their_order(text):
    assert Checker(text).headings == [
        "Verdict",
        "What was fitted",
        "Potential",
        "Sampling",
        "What the data determine",
        "Simulations with posterior draws",
        "Limits",
    ]


def test_deviation_from_the_data_is_stated_with_its_reason(text):
    assert "The data leave the 95 % band" in text
    assert "many-body parts that no sum over pairs carries" in text


@pytest.mark.usefixtures("plain_figures")
def test_no_deviation_no_reason(tmp_path, result, simulated):
    same = xr.Dataset(
        {
            "radial_distribution": simulated["summary/radial_distribution"].to_dataset()["mean"],
            "radial_distribution_error": 0.01
            * xr.ones_like(simulated["summary/radial_distribution"].to_dataset()["mean"]),
        }
    )
    text = bcg.report(tmp_path / "a.html", result, None, simulated, reference=same).read_text(
        encoding="utf-8"
    )
    assert "at all points" in text
    assert "many-body parts" not in text


@pytest.mark.usefixtures("plain_figures")
def test_provenance_and_warnings_are_shown(tmp_path, result):
    bad = result.copy()
    bad.attrs = result.attrs | {"warnings": '["R-hat is 1.300 for <x>, above 1.01: run longer."]'}
    text = bcg.report(tmp_path / "a.html", bad).read_text(encoding="utf-8")
    assert '<p class="warning">R-hat is 1.300 for &lt;x&gt;, above 1.01: run longer.</p>' in text
    assert "1 warning, named under Sampling" in text
    assert "center of mass of each residue" in text
    assert Checker(text).faults == []


@pytest.mark.usefixtures("plain_figures")
def test_parts_that_were_not_given_are_left_out(tmp_path, result):
    found = Checker(bcg.report(tmp_path / "a.html", result).read_text(encoding="utf-8"))
    assert "What the data determine" not in found.headings
    assert len(found.images) == 3


@pytest.mark.usefixtures("plain_figures")
def test_a_model_without_pair_potential_is_reported_all_the_same(tmp_path, result):
    other = result.copy()
    del other["potential_curves"]
    text = bcg.report(tmp_path / "a.html", other).read_text(encoding="utf-8")
    assert "no pair potential" in text


@pytest.mark.usefixtures("plain_figures")
def test_beads_serve_as_reference(tmp_path, result, simulated):
    """g(r) is measured on the beads at the very distances of the simulations."""
    beads = bcg.data.water(frames=3)
    text = bcg.report(tmp_path / "a.html", result, None, simulated, reference=beads).read_text(
        encoding="utf-8"
    )
    assert "that of the data 3." in text  # the first peak of water


def test_wrong_reference_is_refused(tmp_path, result, simulated):
    with pytest.raises(bcg.BayescgError, match="Dataset of beads or of observables, got list"):
        bcg.report(tmp_path / "a.html", result, None, simulated, reference=[1])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path, result):
    with pytest.raises(bcg.BayescgError, match="existing folder"):
        bcg.report(tmp_path / "none" / "a.html", result)


def test_a_tree_without_posterior_is_refused(tmp_path):
    with pytest.raises(bcg.BayescgError, match="group posterior"):
        bcg.report(tmp_path / "a.html", xr.DataTree())


@pytest.mark.usefixtures("plain_figures")
def test_a_write_that_fails_leaves_the_old_page_and_nothing_else(tmp_path, result, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        bcg.report(path, result)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


@pytest.mark.usefixtures("plain_figures")
def test_page_can_be_read_by_whom_the_folder_allows(tmp_path, result):
    path, other = bcg.report(tmp_path / "a.html", result), tmp_path / "other"
    other.write_text("")
    assert path.stat().st_mode == other.stat().st_mode


def test_a_memory_s_warnings_are_in_the_verdict(result):
    motion = xr.DataTree()
    motion.attrs["warnings"] = '["10 draws per chain are too few."]'
    _, parts = verdict(result, None, None, None, warnings_of(motion))
    assert "1 warning, named under Dynamics." in parts[0]
    assert 'class="warning"' in parts[0]
    _, parts = verdict(result, None, None, None, [])
    assert "No warnings." in parts[0]
