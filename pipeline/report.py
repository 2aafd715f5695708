"""Draw the figures, and show in one HTML file what the other stages measured and wrote."""

from pathlib import Path

from scratchlm.artifacts import read_json, read_jsonl, write_bytes, write_text
from scratchlm.checksums import read_sealed, verify_sha256
from scratchlm.datasets.sms_spam import read_classes
from scratchlm.judging.answers import read_answers, read_replies
from scratchlm.judging.reading import read_reason
from scratchlm.params import PARAMS, read_yaml
from scratchlm.reporting import report
from scratchlm.reporting.drawing import TABLES, draw_figures
from scratchlm.reporting.model_card import CARD, read_lineage
from scratchlm.stages import run_stage

SAMPLE = Path("recipes/sample.yaml")
METRICS = Path("metrics")
PLOTS = Path("metrics/plots")
ITEMS = Path("metrics/plots/score_references_items.csv")
TEMPERATURE = Path("metrics/plots/sample_text_temperature.png")
CORPUS = Path("data/raw/corpus/manifest.json")
MESSAGES = Path("data/sms_spam")
CARDS = Path("data/models")
SAMPLES = Path("data/samples")
CONTINUATIONS = Path("data/samples/continuations.jsonl")
PREDICTIONS = Path("data/predictions/classifier.csv")
RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
REPORT = Path("metrics/report.html")
MODELS = ("pretrained", "classifier", "instruct")
SAMPLED = ("pretrain", "finetune_instruct")


def main() -> None:
    for path in (PREDICTIONS, RESPONSES, REPLIES):
        verify_sha256(path)
    metrics = {stage: read_json(METRICS / f"{stage}.json") for stage in report.STAGES}
    tables = {name: report.read_table(PLOTS / f"{name}.csv", columns) for name, columns in TABLES.items()}
    classes = read_classes(MESSAGES)
    predictions = report.read_predictions(PREDICTIONS, classes)
    answers = read_answers(RESPONSES)
    replies = read_replies(REPLIES, answers)
    reasons = {row["id"]: read_reason(row) for row in replies if row["sample"] == 0}
    figures = draw_figures(tables, metrics, predictions, classes)
    html = report.render_report(
        params=read_yaml(PARAMS),
        sample_params=read_yaml(SAMPLE),
        metrics=metrics,
        corpus=read_sealed(CORPUS, {"files": list})["files"],
        cards={model: read_lineage(CARDS / model / CARD) for model in MODELS},
        figures=figures | {"temperature": TEMPERATURE.read_bytes()},
        samples={stage: read_jsonl(SAMPLES / f"{stage}.jsonl", report.SAMPLE) for stage in SAMPLED},
        continuations=read_jsonl(CONTINUATIONS, report.CONTINUATION),
        predictions=predictions,
        classes=classes,
        answers=report.rank_answers(answers, report.read_table(ITEMS, report.ANSWER_SCORES)),
        judged=report.rank_judged(answers, tables["score_judgements_items"], reasons),
        replies=replies,
    )
    for name, png in figures.items():
        write_bytes(PLOTS / f"report_{name}.png", png)
    write_text(REPORT, html)


if __name__ == "__main__":
    run_stage("report", main)
