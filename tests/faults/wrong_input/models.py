"""Models that are damaged or not there, and prompts that they cannot take."""

from tests.faults.changes import flip, nothing, put, remove, truncate
from tests.faults.wrong_input.case import MODEL, Case

MODELS = [
    Case("model's tokenizer altered", "finetune_instruct", flip(f"{MODEL}/tokenizer.json"), ("json has sha256",)),
    Case("base that is not there", "finetune_classifier", remove(MODEL), (f"{MODEL}", "missing")),
    Case(
        "weights truncated", "finetune_classifier", truncate(f"{MODEL}/model.safetensors"), ("model.safetensors has",)
    ),
    Case("weights altered", "finetune_instruct", flip(f"{MODEL}/model.safetensors"), ("model.safetensors has sha256",)),
    Case("model without its configuration", "finetune_instruct", remove(f"{MODEL}/config.json"), ("config.json",)),
    Case("model without weights", "finetune_instruct", remove(f"{MODEL}/model.safetensors"), ("model.safetensors",)),
    Case("model without a tokenizer", "sample_text", remove("data/models/pretrained/tokenizer.json"), ("tokenizer",)),
    Case("classifier as a base", "finetune_instruct", put("finetune_instruct.base", "classifier"), ("classifier",)),
    Case("model without a manifest", "generate_responses", remove("data/models/instruct/manifest.json"), ("manifest",)),
    Case(
        "prompt longer than the context",
        "sample_text",
        put("sample_text.prompts", ["word " * 100]),
        ("prompt 1", "context_length of 320", "shorten"),
    ),
    Case("empty prompt", "sample_text", put("sample_text.prompts", [""]), ("prompt 1", "empty")),
    Case("item that is not listed", "convert_gpt2", nothing, ("'124M'", "convert_gpt2.names"), ("124M",)),
    Case("checkpoint that is not there", "convert_gpt2", nothing, ("data/gpt2/roundtrip", "missing"), ("roundtrip",)),
]
