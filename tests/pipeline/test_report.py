"""The stage report, as DVC runs it."""

from pathlib import Path

from scratchlm.params import read_yaml
from tests.conftest import ROOT, Workspace
from tests.reporting.made_up_run import write_run

HTML = "metrics/report.html"


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of what the stage writes."""
    files = [folder / HTML, *folder.glob("metrics/plots/report_*.png")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_it_reads_its_deps_writes_its_outs_and_the_same_bytes_twice(workspace: Workspace):
    stage = read_yaml(ROOT / "dvc.yaml")["stages"]["report"]
    read = write_run(workspace.path)
    assert read == {dep for dep in stage["deps"] if dep.startswith(("data/", "metrics/", "recipes/"))}
    assert workspace.run("report").returncode == 0
    first = outputs(workspace.path)
    assert set(first) == {*stage["outs"], *(next(iter(plot)) for plot in stage["plots"])}
    assert workspace.run("report").returncode == 0
    assert outputs(workspace.path) == first


def test_a_missing_input_is_one_line_and_leaves_no_report(workspace: Workspace):
    write_run(workspace.path)
    (workspace.path / "data/predictions/classifier.csv").unlink()
    done = workspace.run("report")
    assert done.returncode == 1
    assert done.stderr == "report: data/predictions/classifier.csv is missing; run `dvc repro` to make it.\n"
    assert not (workspace.path / HTML).exists()
