"""The README.md of a model directory: what it is, from which data and parameters it came, and what was measured."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from scratchlm.artifacts import evenly_spaced
from scratchlm.errors import UserError
from scratchlm.params import Schema
from scratchlm.reporting.templating import load_template

CARD = "README.md"
RECORDED_EVALUATIONS, RECORDED_SAMPLES = 20, 6  # of a training that the lineage carries on
PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")
HUB_NAMES = {
    "data/gpt2/124M": "openai-community/gpt2",
    "data/gpt2/355M": "openai-community/gpt2-medium",
    "data/gpt2/774M": "openai-community/gpt2-large",
    "data/gpt2/1558M": "openai-community/gpt2-xl",
}
GPT2_LICENCE = {  # as the hub writes a licence that is none of its list; see https://hf.co/docs/hub/model-cards
    "license": "other",
    "license_name": "modified-mit",
    "license_link": "https://github.com/openai/gpt-2/blob/master/LICENSE",
}
HUB_METRICS = {
    "accuracy": "accuracy",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "roc_auc": "roc_auc",
    "val_perplexity": "perplexity",
}


def model_card(
    title: str,
    stage: str,
    config: Schema,
    metrics: Mapping[str, Any],
    lineage: Mapping[str, str],
    task: str,
    max_tokens: int,
    training: Mapping[str, Any] | None = None,
) -> str:
    """Markdown with the metadata block of a Hugging Face model card; `lineage` names each input and its sha256.

    `max_tokens` is what the model reads at most. What the card of an input that is a model directory says of its own
    lineage is carried on; so is the `training_record` of a stage that the report cannot depend on.
    """
    step = {"title": title, "stage": stage, "read": dict(lineage), "made_with": made_with()}
    step |= {} if training is None else {"training": training}
    steps = [step, *(earlier for name in lineage for earlier in read_lineage(Path(name) / CARD))]
    params = flatten(config.model_dump())
    library = "transformers" if params.get("position", "last") == "last" and params.get("causal", True) else "scratchlm"
    return load_template("model_card.md.j2", autoescape=False, cell=_cell).render(
        metadata=yaml.safe_dump(
            {"library_name": library, **_metadata(title, params, metrics, steps, task)},
            sort_keys=False,
            allow_unicode=True,
        ),
        library=library,
        title=title,
        stage=stage,
        params=params,
        metrics=metrics,
        steps=steps,
        task=task,
        max_tokens=max_tokens,
    )


def training_record(
    metrics: Mapping[str, float], rows: Sequence[Mapping[str, float]], samples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Losses before and after, the curve at a few steps, and the samples at fewer, in what YAML can hold."""
    steps = evenly_spaced(sorted({row["step"] for row in samples}), RECORDED_SAMPLES)
    return {
        "metrics": {name: value for name, value in metrics.items() if name.removeprefix("base_").startswith("val_")},
        "curve": [
            {name: row[name] for name in ("step", "train_loss", "val_loss")}
            for row in evenly_spaced(rows, RECORDED_EVALUATIONS)
        ],
        "samples": [dict(row) for row in samples if row["step"] in steps],
    }


def read_lineage(card: Path) -> list[dict[str, Any]]:
    """The steps that led to a model, the last one first; none where there is no card, or one of somebody else."""
    if not card.is_file():
        return []
    start, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    block, end, _ = rest.partition("\n---\n")
    if start or not end:
        return []
    try:
        metadata = yaml.safe_load(block)
    except yaml.YAMLError as error:
        raise UserError(f"{card} has no valid metadata: {error}; mend or remove the block between its `---`.") from None
    return metadata.get("lineage", []) if isinstance(metadata, dict) else []


def made_with() -> dict[str, str]:
    """The versions that compute a model, without the part that names a build (`+cpu`)."""
    return {"python": platform.python_version()} | {name: version(name).split("+")[0] for name in PACKAGES}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters under dotted names, as `dvc exp run -S` takes them."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _metadata(
    title: str, params: Mapping[str, Any], metrics: Mapping[str, Any], steps: list[dict[str, Any]], task: str
) -> dict[str, Any]:
    """What the hub reads, and the lineage for cards of models made from this one."""
    metadata: dict[str, Any] = {"pipeline_tag": task, "tags": ["gpt2", "scratchlm"]}
    bases = [HUB_NAMES[name] for step in steps for name in step["read"] if name in HUB_NAMES]
    if bases and params.get("weights") != "random":
        metadata["base_model"] = bases[0]
    if any(name in HUB_NAMES for name in steps[0]["read"]):  # OpenAI's own weights; who trains on chooses for himself
        metadata |= GPT2_LICENCE
    known = [{"type": kind, "value": metrics[name]} for name, kind in HUB_METRICS.items() if name in metrics]
    if known:
        data = next(reversed(steps[0]["read"]))
        result = {"task": {"type": task}, "dataset": {"type": data, "name": data}, "metrics": known}
        metadata["model-index"] = [{"name": title, "results": [result]}]
    return metadata | {"lineage": steps}


def _cell(value: Any) -> str:
    """A value in a cell of a Markdown table, which neither a line end nor a bar nor a backtick may leave."""
    return str(value).replace("|", "\\|").replace("`", "'").replace("\r", " ").replace("\n", " ")
