"""The made-up run as a report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scratchlm.judging.reading import read_reason
from scratchlm.reporting.report import rank_answers, rank_judged, render_report
from tests.reporting.made_up_run import (
    ANSWERS_OVER_TRAINING,
    CARDS,
    CLASSES,
    CONTINUATIONS,
    CORPUS,
    JUDGED_ITEMS,
    METRICS,
    REFERENCE_ITEMS,
    REPLIES,
    RESPONSES,
    SAMPLES,
    predictions_frame,
    write_run,
)

PARAMS: dict[str, Any] = {
    "fetch_sms_spam": {"source": "uci"},
    "fetch_instructions": {"source": "sample"},
    "fetch_corpus": {"sources": ["package_docs", {"url": "mine.txt", "sha256": "0" * 64}]},
    "finetune_classifier": {"base": "gpt2-roundtrip"},
    "finetune_instruct": {"base": "gpt2-124M"},
    "judge_responses": {"backend": "local", "model": "gpt2-roundtrip"},
}
CLASSIFIER_FIGURES = ["classifier_curves", "classifier_confusion", "classifier_reliability"]
FIGURES = ["results", "pretrain_loss", *CLASSIFIER_FIGURES, "instruct_loss", "sms_lengths", "sms_classes"]
FIGURES += ["judge_scores", "judge_kinds", "judge_lengths", "temperature"]
REASONS = {row["id"]: read_reason(row) for row in REPLIES if row["sample"] == 0}


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., str]:
    """The HTML of the made-up run, with some of the arguments replaced."""
    write_run(tmp_path)
    figure = (tmp_path / "metrics/plots/sample_text_temperature.png").read_bytes()

    def render(**changes: Any) -> str:
        content = {
            "params": PARAMS,
            "sample_params": PARAMS,
            "metrics": METRICS,
            "corpus": CORPUS,
            "cards": CARDS,
            "figures": dict.fromkeys(FIGURES, figure),
            "samples": {"pretrain": SAMPLES, "finetune_instruct": ANSWERS_OVER_TRAINING},
            "continuations": CONTINUATIONS,
            "predictions": predictions_frame(),
            "classes": CLASSES,
            "answers": rank_answers(RESPONSES, pd.DataFrame(REFERENCE_ITEMS)),
            "judged": rank_judged(RESPONSES, pd.DataFrame(JUDGED_ITEMS), REASONS),
            "replies": REPLIES,
        }
        return render_report(**content | changes)

    return render
