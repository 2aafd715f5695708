"""Parameters that are wrong in themselves, and a params.yaml that cannot be read."""

from tests.faults.changes import put, remove, write
from tests.faults.wrong_input.case import SMS, Case

PARAMETERS = [
    Case("unknown parameter", SMS, put(f"{SMS}.blance", "none"), ("prepare_sms_spam.blance", "did you mean balance?")),
    Case("ill-typed parameter", SMS, put(f"{SMS}.seed", "zero"), ("prepare_sms_spam.seed is 'zero'", "integer")),
    Case("number out of range", SMS, put(f"{SMS}.train_fraction", 1.5), ("train_fraction is 1.5", "less than 1")),
    Case("unknown choice", SMS, put(f"{SMS}.balance", "half"), ("balance is 'half'", "'undersample'")),
    Case("not a number", "pretrain", put("pretrain.learning_rate", float("nan")), ("learning_rate is nan",)),
    Case("heads that do not divide", "pretrain", put("pretrain.n_head", 3), ("n_embd is 16", "multiple of n_head 3")),
    Case("no params.yaml", SMS, remove("params.yaml"), ("params.yaml is missing", "scratchlm recipe sample")),
    Case("params.yaml is no YAML", SMS, write("params.yaml", b"a: [1"), ("params.yaml is no valid YAML", "line 1")),
    Case("params.yaml is Latin-1", SMS, write("params.yaml", b"a: \xe9"), ("params.yaml is no valid YAML",)),
    Case("a section is missing", SMS, write("params.yaml", b"a: 1"), ("no section `prepare_sms_spam`",)),
    Case("list too short", SMS, put(f"{SMS}.labels", ["ham"]), ("labels is ['ham'], but it should have at least 2",)),
    Case(
        "parameters that do not go together",
        "finetune_classifier",
        put("finetune_classifier.position", "last_padded"),
        ("padding is 'longest'", "longest_train or context"),
    ),
]
