"""What was measured, as rows: each figure with its interval, and beside it what it is to be compared with."""

from scratchlm.reporting.results import list_results
from tests.reporting.made_up_run import CLASSES, METRICS


def test_every_result_stands_beside_its_baselines_and_interval():
    rows = {row.name: row for job in list_results(METRICS, CLASSES, {}).values() for row in job}
    assert rows["Accuracy"].figure == "93.8% (91.8% to 95.8%)"
    assert rows["Accuracy"].beside == (
        "TF-IDF: 95.3% (93.3% to 97.3%); untuned, asked in words: 51.2% (49.2% to 53.2%); larger class: 50.0%"
    )
    assert rows["Unused ham taken for spam"].beside == "TF-IDF: 2.1% (0.1% to 4.1%)"
    assert rows["Accuracy minus that of TF-IDF"].figure == "-1.5% (-3.1% to +0.2%)"
    assert rows["Brier score"].figure == "0.050"
    assert (rows["Bits per byte"].figure, rows["Bits per byte"].beside) == ("1.704", "bigrams: 2.161")
    assert rows["chrF++, 0 to 100"].figure == "12.3 (12.3 to 12.4)"
    assert rows["Score, 0 to 100"].figure == "45.6 (40.1 to 51.2)"
    assert rows["Score, 0 to 100"].beside == "30.4 if the 1 unparsed replies count 0, 63.7 if they count 100"
    assert rows["Rank agreement with chrF++"].figure == "0.12"


def test_of_more_classes_the_scores_of_each_stand_in_the_results():
    ours = {"accuracy": 0.8, "macro_f1": 0.7, "recall_eggs": 0.6, "recall_eggs_low": 0.5, "recall_eggs_high": 0.7}
    baselines = {f"tfidf_{key}": value for key, value in ours.items()}
    metrics = METRICS | {"finetune_classifier": ours, "score_sms_baselines": baselines}
    rows = list_results(metrics, ["ham", "spam", "eggs"], {})["Classification, on the test messages"]
    assert [row.name for row in rows][:-1] == ["Accuracy", "F1, mean over the classes", "Recall of eggs"]
    assert rows[2].beside == "TF-IDF: 60.0% (50.0% to 70.0%)"


def test_an_agreement_that_was_not_measured_is_called_not_defined():
    judged = {key: value for key, value in METRICS["score_judgements"].items() if key != "spearman_ref_chrf"}
    metrics = METRICS | {"score_judgements": judged | {"unparsed": 0}}
    rows = list_results(metrics, CLASSES, {})["Answers, read by the judge"]
    assert rows[0].beside == "every reply was read"
    assert rows[1].figure.startswith("not defined")
