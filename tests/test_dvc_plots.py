"""The page of `dvc plots`: it draws without a network, with the published scripts of vega."""

import hashlib
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / ".dvc/plots/page.html"


class Scripts(HTMLParser):
    """The scripts of a page with their attributes, and every address that the page itself would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.loaded: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)


@pytest.fixture
def html(tmp_path: Path) -> str:
    """What `dvc plots show` writes for one curve and one picture, with this project's .dvc/config."""
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots", dirs_exist_ok=True)
    shutil.copy(ROOT / "metrics/plots/pretrain_loss.csv", tmp_path / "curve.csv")
    shutil.copy(ROOT / "metrics/plots/report_pretrain_loss.png", tmp_path / "curve.png")
    (tmp_path / "dvc.yaml").write_text("plots:\n  - curve.csv: {x: step, y: val_loss}\n  - curve.png\n")
    subprocess.run([*dvc, "plots", "show", "--quiet"], cwd=tmp_path, check=True)
    return (tmp_path / "dvc_plots/index.html").read_text(encoding="utf-8")


def test_the_scripts_are_those_that_the_page_names():
    named = {
        attrs["data-package"]: (attrs["data-sha256"], text)
        for attrs, text in Scripts(PAGE.read_text()).scripts
        if attrs
    }
    assert [package.rsplit("@")[0] for package in named if package] == ["vega", "vega-lite", "vega-embed"]
    for sha256, text in named.values():
        assert hashlib.sha256(text.encode()).hexdigest() == sha256


def test_a_page_of_plots_loads_nothing_from_another_host(html: str):
    page = Scripts(html)
    assert page.loaded == ["static/workspace_curve.png"]
    assert not any("src" in attrs for attrs, _ in page.scripts)
    assert sum("vegaEmbed('#" in text for _, text in page.scripts) == 1
