"""dvc.yaml, the scripts, params.yaml and the recipes say the same thing."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from scratchlm.params import Schema, read_params, read_yaml
from scratchlm.recipes import recipe_names, recipe_text
from tests.closure import ROOT, import_closure, is_code

STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
SCRIPTS = {path.stem: path for path in (ROOT / "pipeline").glob("*.py") if path.stem != "__init__"}


def listed(body: dict, *kinds: str) -> list[str]:
    """The paths of some kinds (deps, outs, metrics, plots) of a stage."""
    entries = [entry for kind in kinds for entry in body.get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def params_schema(stage: str) -> type[Schema] | None:
    """The schema with which a script reads its section."""
    calls = [node for node in ast.walk(ast.parse(SCRIPTS[stage].read_text())) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "read_params":
            name, schema = call.args
            assert isinstance(name, ast.Constant)
            assert name.value == stage
            assert isinstance(schema, ast.Name)
            return getattr(importlib.import_module(f"pipeline.{stage}"), schema.id)
    return None


def path_constants(stage: str) -> list[str]:
    """The module-level `NAME = Path("...")` of a script."""
    return re.findall(r'^[A-Z_]+ = Path\("([^"]+)"\)', SCRIPTS[stage].read_text(), flags=re.MULTILINE)


def test_every_stage_has_a_script_and_every_script_a_stage():
    assert set(STAGES) == set(SCRIPTS)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_import_closure_of_the_script(stage: str):
    code = [dep for dep in STAGES[stage]["deps"] if is_code(dep)]
    assert code == import_closure(SCRIPTS[stage]), "run `make deps`"


@pytest.mark.parametrize("stage", STAGES)
def test_command_section_and_metrics_carry_the_name_of_the_stage(stage: str):
    body = STAGES[stage]
    item = "".join(f"${{item.{name}}}" for name in body.get("matrix", {}))
    assert body["cmd"] == f"PYTHONPATH=src python -m pipeline.{stage} {item}".strip()
    assert body["desc"].endswith(".")
    if "params" in body:
        assert body["params"] in ([stage], [{"params.yaml": None}])
    else:
        assert params_schema(stage) is None or "matrix" in body, "only the items of a matrix count, not the list"
    assert listed(body, "metrics") in ([], [f"metrics/{stage}_{item}.json".replace("_.", ".")])


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_a_script_is_a_dep_or_an_output(stage: str):
    listed_paths = [Path(path) for path in listed(STAGES[stage], "deps", "outs", "metrics", "plots")]
    for constant in map(Path, path_constants(stage)):
        # A folder that a script completes with a name from the parameters stands above `${...}` or a listed file.
        above = any(constant in path.parents for path in listed_paths)
        within = any(path in constant.parents for path in listed_paths)
        assert constant in listed_paths or above or within, constant


@pytest.mark.parametrize("stage", STAGES)
def test_metrics_and_plots_are_in_git_and_the_rest_in_the_cache(stage: str):
    """DVC keeps no run of a stage that has an uncached output which is neither metric nor plot."""
    for kind, cached in {"outs": True, "metrics": False, "plots": False}.items():
        for entry in STAGES[stage].get(kind, []):
            options = next(iter(entry.values())) if isinstance(entry, dict) else {}
            assert not options.get("persist"), entry
            assert options.get("cache", True) is cached, entry


def test_artifacts_are_the_models_that_the_sample_makes():
    sections = read_yaml(ROOT / "params.yaml")
    outs = {
        out.replace("${item.name}", name)
        for stage, body in STAGES.items()
        for out in listed(body, "outs")
        for name in sections.get(stage, {}).get("names", [""])
    }
    models = {out for out in outs if out.startswith("data/models/")}
    artifacts = read_yaml(ROOT / "dvc.yaml")["artifacts"]
    assert {f"data/models/{name}": body["path"] for name, body in artifacts.items()} == {out: out for out in models}


def test_params_are_the_sample_recipe():
    assert (ROOT / "params.yaml").read_text() == recipe_text("sample")


def test_the_book_split_differs_from_the_laptop_in_the_preparation_alone(tmp_path: Path):
    sections = {}
    for recipe in ("laptop", "book-split"):
        (tmp_path / recipe).write_text(recipe_text(recipe))
        sections[recipe] = read_yaml(tmp_path / recipe)
    laptop, book = sections["laptop"], sections["book-split"]
    for stage in (
        "fetch_sms_spam",
        "fetch_corpus",
        "build_tokenizer",
        "shard_corpus",
        "pretrain",
        "finetune_classifier",
    ):
        assert book[stage] == laptop[stage], stage
    assert book["prepare_sms_spam"] != laptop["prepare_sms_spam"]


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize("stage", STAGES)
def test_every_recipe_validates_and_no_section_is_unread(recipe: str, stage: str, tmp_path: Path):
    params = tmp_path / "params.yaml"
    params.write_text(recipe_text(recipe))
    schema = params_schema(stage)
    if schema:
        read_params(stage, schema, params)
    sections = {name for name in STAGES if params_schema(name)}
    assert set(read_yaml(params)) == sections


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_model_that_a_recipe_starts_from_is_made_by_its_graph(recipe: str, tmp_path: Path):
    params = tmp_path / "params.yaml"
    params.write_text(recipe_text(recipe))
    sections = read_yaml(params)
    assert set(sections["convert_gpt2"]["names"]) <= {
        *sections["export_gpt2"]["names"],
        *sections["fetch_gpt2"]["sizes"],
    }
    converted = {f"gpt2-{name}" for name in sections["convert_gpt2"]["names"]}
    made = {"pretrained", *converted, *sections["continue_pretraining"]["names"]}
    if sections["continue_pretraining"]["names"]:
        assert sections["continue_pretraining"]["base"] in made - set(sections["continue_pretraining"]["names"])
    assert sections["continue_pretraining"]["tokens"] in {"tokens", *sections["shard_messages"]["names"]}
    assert sections["finetune_dpo"]["base"] == "instruct"
    assert sections["generate_responses"]["model"] in {"instruct", *sections["finetune_dpo"]["names"]}
    for stage, key in {
        "score_sms_baselines": "base",
        "finetune_classifier": "base",
        "finetune_instruct": "base",
        "judge_responses": "model",
    }.items():
        assert sections[stage][key] in made, stage
