"""params.yaml is read as DVC reads it, strictly."""

from pathlib import Path

import pytest
from pydantic import Field
from ruamel.yaml import YAML

from scratchlm.errors import UserError
from scratchlm.params import CHECKOUT, Schema, project_root, read_params, read_yaml, resolve_path


class Shape(Schema):
    n_layer: int = Field(gt=0)
    dropout: float = 0.0


class Section(Schema):
    rate: float
    shape: Shape
    names: list[str] = Field(default=["a"], min_length=1)
    shapes: list[Shape | str] = Field(default=[])


NUMBERS = [
    "6e-4",
    "1e-05",
    "1.5",
    "-3",
    "0x1F",
    "010",
    "+1",
    "1_000",
    "1:30",
    "on",
    "yes",
    "true",
    "False",
    "null",
    "~",
    ".5",
    "5.",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_scalars_mean_what_dvc_reads(tmp_path: Path, text: str):
    (tmp_path / "params.yaml").write_text(f"value: {text}\n")
    theirs = YAML(typ="safe").load(tmp_path / "params.yaml")["value"]
    ours = read_yaml(tmp_path / "params.yaml")["value"]
    assert (type(ours), ours) == (type(theirs), theirs)


def write(folder: Path, text: str) -> Path:
    (folder / "params.yaml").write_text(text)
    return folder / "params.yaml"


def test_a_valid_section_becomes_a_frozen_object(tmp_path: Path):
    params = read_params("stage", Section, write(tmp_path, "stage: {rate: 6e-4, shape: {n_layer: 2}}"))
    assert params == Section(rate=6e-4, shape=Shape(n_layer=2))
    with pytest.raises(ValueError, match="frozen"):
        params.rate = 1.0


WRONG = {
    "unknown key": (
        "{rate: 1.0, nams: {}, shape: {n_layer: 1}}",
        r"stage\.nams is no parameter; did you mean names",
    ),
    "ill-typed": ("{rate: fast, shape: {n_layer: 1}}", r"stage\.rate is 'fast', but it should be a valid number"),
    "text for a number": ("{rate: '1', shape: {n_layer: 1}}", r"stage\.rate is '1'"),
    "out of range": (
        "{rate: 1.0, shape: {n_layer: 0}}",
        r"stage\.shape\.n_layer is 0, but it should be greater than 0",
    ),
    "list too short": ("{rate: 1.0, shape: {n_layer: 1}, names: []}", r"names is \[\], but it should have at least 1"),
    "missing": ("{rate: 1.0}", r"stage\.shape is missing"),
    "no mapping": ("{rate: 1.0, shape: 2}", r"stage\.shape is 2, but it should be a valid mapping\.$"),
    "within one of several forms": (
        "{rate: 1.0, shape: {n_layer: 1}, shapes: [round, {n_layer: 0}]}",
        r"stage\.shapes\.1\.n_layer is 0, but",
    ),
    "missing in one of several forms": (
        "{rate: 1.0, shape: {n_layer: 1}, shapes: [{dropout: 0.0}]}",
        r"stage\.shapes\.0\.n_layer is missing",
    ),
    "none of several forms": ("{rate: 1.0, shape: {n_layer: 1}, shapes: [5]}", r"stage\.shapes\.0 is 5, but it should"),
    "half a layer": ("{rate: 1.0, shape: {n_layer: 1.5}}", r"stage\.shape\.n_layer is 1\.5"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_one_line_with_key_value_and_limit(tmp_path: Path, text: str, message: str):
    with pytest.raises(UserError, match=message) as error:
        read_params("stage", Section, write(tmp_path, f"stage: {text}"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("other: 1", "no section `stage`"), ("a: [", "no valid YAML"), ("", "no sections")]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str):
    with pytest.raises(UserError, match=message):
        read_params("stage", Section, write(tmp_path, text))


def test_a_key_that_stands_twice_is_refused_where_it_stands(tmp_path: Path):
    with pytest.raises(UserError, match=r"the key rate stands there twice .*line 3"):
        read_yaml(write(tmp_path, 'stage:\n  rate: 1\n  "rate": 2\n'))
    merged = write(tmp_path, "one: &one {a: 1, b: 2}\ntwo: &two {<<: *one, a: 3}\nthree: {<<: *two, b: 4}")
    assert read_yaml(merged)["three"] == {"a": 3, "b": 4}


def test_a_users_path_counts_from_the_dvc_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert resolve_path("own/data.tsv") == tmp_path / "own/data.tsv"
    assert resolve_path("/absolute") == Path("/absolute")


def test_the_project_is_the_nearest_one_around_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "clone/data").mkdir(parents=True)
    (tmp_path / "clone/dvc.yaml").touch()
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path / "clone/data")
    assert project_root() == tmp_path / "clone"
    monkeypatch.chdir(tmp_path)
    assert project_root() == CHECKOUT
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert project_root() == Path("/elsewhere")
