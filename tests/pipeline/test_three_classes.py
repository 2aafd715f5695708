"""One's own messages of three classes, in a CSV file with named columns, through the stages' own commands."""

from pathlib import Path

import pandas as pd
import pytest

from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file, write_sha256
from scratchlm.models.storage import read_class_names
from scratchlm.reporting.report import read_table
from scratchlm.reporting.show import show_folder
from tests.conftest import Workspace
from tests.reporting.made_up_run import write_run
from tests.test_cli import call
from tests.tiny_model import save_tiny_model, tiny_gpt

CLASSES = ["0", "good enough", "spam"]  # a number and a space, as one's own may have
KINDS = {"0": "see you at", "good enough": "it works, mostly", "spam": "WIN NOW"}
STAGES = ["fetch_sms_spam", "prepare_sms_spam", "finetune_classifier"]
STAGES += ["score_sms_baselines", "compare_classifiers", "report"]
WORDS = [first + second for first in "abcdef" for second in "abcde"]  # not numbers: digits are masked


def test_three_classes_go_through_every_stage(workspace: Workspace):
    write_run(workspace.path)  # what the other stages would have written
    save_tiny_model(Path("data/models/tiny"), tiny_gpt(context_length=256))
    rows = [
        {"id": n, "kind": label, "body": f"{text} {word}"}
        for n, word in enumerate(WORDS)
        for label, text in KINDS.items()
    ]
    rows += [{"id": 99, "kind": "0", "body": f"see you all at {word}"} for word in WORDS[:5]]
    pd.DataFrame(rows).to_csv("own.csv", index=False)
    settings = {
        "fetch_sms_spam.source": {"url": "own.csv", "sha256": sha256_file(Path("own.csv"))},
        "prepare_sms_spam.labels": CLASSES,
        "prepare_sms_spam.separator": "comma",
        "prepare_sms_spam.quoting": "csv",
        "prepare_sms_spam.columns": {"label": "kind", "text": "body"},
        "finetune_classifier.base": "tiny",
        "finetune_classifier.learning_rate": 1e-2,
        "finetune_classifier.max_tokens": 32,
        "score_sms_baselines.base": "tiny",
    }
    for key, value in settings.items():
        workspace.set(key, value)
    for stage in STAGES:
        done = workspace.run(stage)
        assert done.returncode == 0, done.stderr

    counts = read_json(Path("metrics/prepare_sms_spam.json"))
    assert [counts[f"unused_{label}"] for label in CLASSES] == [5, 0, 0]
    ours, bars = (read_json(Path(f"metrics/{stage}.json")) for stage in ("finetune_classifier", "score_sms_baselines"))
    assert ours["accuracy"] == ours["macro_f1"] == ours["recall_0"] == bars["tfidf_macro_roc_auc"] == 1
    assert bars["majority_accuracy"] == pytest.approx(1 / 3)
    assert not any("false_positive" in key for key in ours | bars)
    difference = read_json(Path("metrics/compare_classifiers.json"))["difference_to_zero_shot"]
    assert difference == pytest.approx(1 - bars["zero_shot_accuracy"])
    predictions = read_table(Path("data/predictions/zero_shot.csv"), {"label": str, "predicted": str})
    assert set(predictions["predicted"]) <= set(CLASSES)
    assert predictions[[f"probability_{label}" for label in CLASSES]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert "Recall of good enough" in Path("metrics/report.html").read_text()

    assert read_class_names(Path("data/models/classifier")) == CLASSES
    assert call("classify", "data/models/classifier", "it works, mostly zz").startswith("good enough\t")
    assert "test.csv: 18 rows, 6 0, 6 good enough, 6 spam" in "\n".join(show_folder(Path("data/sms_spam"), 0))


def test_a_label_that_the_parameters_do_not_name_is_one_line(workspace: Workspace):
    Path("data/raw").mkdir()
    Path("data/raw/sms_spam.tsv").write_text("ham\tsee you\neggs\tthree\n")
    write_sha256(Path("data/raw/sms_spam.tsv"))
    done = workspace.run("prepare_sms_spam")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "line 2 has the label 'eggs', which is not among prepare_sms_spam.labels [ham, spam]" in done.stderr


@pytest.mark.parametrize(
    ("labels", "message"), [(["ham"], "at least 2 items"), (["ham", "ham"], "name each class once")]
)
def test_labels_that_make_no_classes_are_one_line(workspace: Workspace, labels: list[str], message: str):
    workspace.set("prepare_sms_spam.labels", labels)
    done = workspace.run("prepare_sms_spam")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "prepare_sms_spam.labels" in done.stderr
    assert message in done.stderr
