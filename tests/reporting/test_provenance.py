"""Where a run came from: what differs, what was read, what was made from what."""

from typing import Any

import pytest

from scratchlm.datasets.sources import INSTRUCTIONS, SMS_SPAM
from scratchlm.params import read_yaml
from scratchlm.reporting.provenance import Change, Step, changed_params, lineage_tree, source_files, versions
from tests.conftest import ROOT
from tests.reporting.made_up_run import CARDS, CORPUS, METRICS, SHA256

SAMPLE = read_yaml(ROOT / "recipes/sample.yaml")


def names(steps: list[Step]) -> list[Any]:
    """The stages of a tree, nested as the tree is."""
    return [(step.stage, names(step.later)) if step.later else step.stage for step in steps]


def test_only_what_differs_from_the_sample_is_listed_under_its_dotted_name():
    assert changed_params(SAMPLE, SAMPLE) == []
    lora = {"finetune_instruct": SAMPLE["finetune_instruct"] | {"lora": {"r": 16, "alpha": 16}}}
    mine = {"fetch_sms_spam": {"source": {"url": "a", "sha256": "b"}}}
    assert changed_params(SAMPLE | lora | mine, SAMPLE) == [
        Change("fetch_sms_spam.source.url", '"a"', "null"),
        Change("fetch_sms_spam.source.sha256", '"b"', "null"),
        Change("finetune_instruct.lora.r", "16", "8"),
    ]


@pytest.mark.parametrize(("ours", "sample"), [(True, 1), (0, False), (1.0, 1)])
def test_values_that_python_calls_equal_differ_by_type(ours: Any, sample: Any):
    assert len(changed_params({"a": {"b": ours}}, {"a": {"b": sample}})) == 1


def test_every_file_that_was_read_is_listed_with_its_hash_and_licence():
    mine = {"fetch_instructions": {"source": {"url": "my/alpaca.json", "sha256": "0" * 64}}}
    sms, instructions, *corpus = source_files(SAMPLE | mine, METRICS, CORPUS)
    assert (sms.url, sms.licence) == (SMS_SPAM["sample"].urls[0], SMS_SPAM["sample"].licence)
    assert sms.sha256 == METRICS["fetch_sms_spam"]["source_sha256"]
    assert (instructions.url, instructions.licence) == ("my/alpaca.json", "unknown")
    assert [(file.kind, file.url, file.sha256) for file in corpus] == [("Corpus", e["url"], SHA256) for e in CORPUS]
    assert source_files(SAMPLE, METRICS, CORPUS)[1].url == INSTRUCTIONS["sample"].urls[0]


def test_models_of_one_base_are_branches_of_one_tree():
    assert names(lineage_tree(CARDS)) == [
        ("pretrain", [("export_gpt2", [("convert_gpt2", ["finetune_classifier", "finetune_instruct"])])])
    ]


def test_a_base_from_elsewhere_is_a_tree_of_its_own():
    base = [CARDS["classifier"][1] | {"read": {"data/gpt2/124M": SHA256}}]
    cards = CARDS | {"classifier": [CARDS["classifier"][0], *base]}
    assert names(lineage_tree(cards)) == [
        ("pretrain", [("export_gpt2", [("convert_gpt2", ["finetune_instruct"])])]),
        ("convert_gpt2", ["finetune_classifier"]),
    ]


def test_models_without_a_card_of_ours_have_no_lineage():
    assert lineage_tree({"pretrained": [], "classifier": []}) == []


def test_every_version_that_computed_a_model_is_named():
    upgraded = [CARDS["instruct"][0] | {"made_with": {"torch": "2.14.0"}}]
    assert versions(CARDS | {"instruct": upgraded}) == {"torch": ["2.13.0", "2.14.0"]}
