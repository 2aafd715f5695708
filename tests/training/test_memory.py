"""The estimate is near what is measured, and what cannot fit is refused before it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.trainable import Part, set_trainable
from scratchlm.training import memory
from scratchlm.training.memory import RUNTIME, cgroup_rooms, check_memory, estimate_memory
from tests.conftest import ROOT

CPU = torch.device("cpu")
FACTOR = 1.4  # between what is estimated and what is measured, either way

# One process that trains several small models: for each what was estimated, and the peak of its memory over the start.
MEASURE = """
import gc, json, sys
from pathlib import Path
from tests.training.test_memory import make_model, train_two_steps
from scratchlm.training.memory import RUNTIME, estimate_memory

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

train_two_steps(make_model("lm", "all", n_embd=16), 1, 8, "float32")
for kind, part, n_embd, vocab_size, dropout, rows, precision in json.loads(sys.argv[1]):
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    start = status("VmRSS")
    model = make_model(kind, part, n_embd, vocab_size, dropout)
    train_two_steps(model, rows, 128, precision)
    print(json.dumps([estimate_memory(model, rows, 128, precision).total - RUNTIME, status("VmHWM") - start]))
    del model
"""
CASES = [
    ("lm", "all", 512, 100, 0.0, 1, "float32"),  # weights, gradients, optimizer
    ("lm", "all", 64, 20_000, 0.0, 3, "float32"),  # logits
    ("classifier", "all", 128, 100, 0.0, 32, "float32"),  # activations
    ("classifier", "all", 128, 100, 0.1, 16, "float32"),
    ("classifier", "last_block", 128, 100, 0.0, 64, "float32"),
    ("classifier", "head", 256, 100, 0.0, 48, "float32"),
    ("classifier", "all", 128, 100, 0.0, 32, "bfloat16"),
]


def make_model(
    kind: str, part: Part, n_embd: int = 64, vocab_size: int = 100, dropout: float = 0.0
) -> GPT | GPTClassifier:
    """Three blocks."""
    shape = {"n_layer": 3, "n_head": 4, "n_embd": n_embd, "context_length": 128, "dropout": dropout}
    model: GPT | GPTClassifier = GPT(GPTConfig(vocab_size=vocab_size, **shape))
    model.init_weights(0)
    if kind == "classifier":
        model = GPTClassifier(model, 2)
        model.init_head(0)
    set_trainable(model, part)
    return model


def train_two_steps(model: GPT | GPTClassifier, rows: int, length: int, precision: str) -> None:
    """Two steps of two micro-batches, as the loop does them."""
    from scratchlm.training.batches import Example, ExampleBatches
    from scratchlm.training.loop import accumulate_gradients
    from scratchlm.training.losses import classification_loss, language_model_loss
    from scratchlm.training.optimizer import build_optimizer
    from tests.training.conftest import tiny_config

    is_classifier = isinstance(model, GPTClassifier)
    tokens = [number % 100 for number in range(length)]
    examples = [Example(tokens, 1 if is_classifier else tokens)] * (2 * rows)
    batches = ExampleBatches(examples, 2 * rows, rows, seed=0, pad_id=0)
    loss_fn = classification_loss if is_classifier else language_model_loss
    config = tiny_config(precision=precision)
    optimizer = build_optimizer(model, config)
    for step in range(2):
        accumulate_gradients(model, batches, loss_fn, config, step)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_the_estimate_is_near_the_measured_peak():
    # With this threshold the heap gives back what is freed: what is measured is what tensors hold.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", MEASURE, json.dumps(CASES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for case, line in zip(CASES, done.stdout.splitlines(), strict=True):
        estimated, measured = json.loads(line)
        assert 1 / FACTOR < measured / estimated < FACTOR, (case, estimated, measured)


def test_what_is_frozen_below_all_that_trains_costs_no_activations():
    activations = {
        part: estimate_memory(make_model("classifier", part), 8, 64, "float32").activations
        for part in ("head", "last_block", "last_two_blocks", "all")
    }
    steps = [
        activations[more] - activations[less]
        for less, more in [("head", "last_block"), ("last_block", "last_two_blocks"), ("last_two_blocks", "all")]
    ]
    # float32 for each of 64 dimensions, 8 rows, 64 tokens: 16, of the last block its input, normalised, keys and values
    assert steps == [count * 4 * 64 * 8 * 64 for count in (4, 16, 16)]


def test_a_micro_batch_that_cannot_fit_is_one_line():
    with pytest.raises(UserError) as error:
        check_memory("finetune_classifier", make_model("classifier", "all"), CPU, 10**6, 128, "float32")
    message = str(error.value)
    assert message.startswith("finetune_classifier with micro_batch_size 1000000 of 128 tokens needs about 1,")
    assert "lower finetune_classifier.micro_batch_size" in message
    assert "\n" not in message
    check_memory("finetune_classifier", make_model("classifier", "all"), CPU, 2, 128, "float32")


def test_a_model_that_cannot_fit_is_refused_before_it_is_made():
    with torch.device("meta"):
        huge = GPT(GPTConfig(n_layer=2, n_head=100, n_embd=1_000_000, context_length=128, vocab_size=100))
    with pytest.raises(UserError, match=r"pretrain .* needs about .*\(weights 96,"):
        check_memory("pretrain", huge, CPU, 1, 128, "float32")


def test_weights_that_are_there_need_no_more_memory(monkeypatch: pytest.MonkeyPatch):
    model = make_model("lm", "all", n_embd=256)
    estimate = estimate_memory(model, 1, 8, "float32")
    monkeypatch.setattr(memory, "free_memory", lambda device: estimate.total - estimate.weights)
    check_memory("pretrain", model, CPU, 1, 8, "float32")
    with pytest.raises(UserError):
        check_memory("pretrain", model.to("meta"), CPU, 1, 8, "float32")


def test_logits_of_an_evaluation_count_where_they_are_more():
    model = make_model("lm", "all", vocab_size=1_000)
    for device_type, copies in (("cpu", 2), ("cuda", 3)):
        few, many = (
            estimate_memory(model, 1, 8, "float32", evaluated_tokens=count, device_type=device_type).logits
            for count in (8, 8_192)
        )
        assert (few, many) == (copies * 8 * 1_000 * 4, 2 * 8_192 * 1_000 * 4)


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_control_groups_of_both_versions_limit_what_is_free(tmp_path: Path):
    write_files(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,memory:/docker/x\n3:cpuset:/\n0::/slice/mine\n",
            "sys/fs/cgroup/slice/mine/memory.max": "max\n",
            "sys/fs/cgroup/slice/memory.max": "1000\n",
            "sys/fs/cgroup/slice/memory.current": "700\n",
            "sys/fs/cgroup/slice/memory.stat": "anon 500\ninactive_file 150\n",
            # The group of the host is not to be seen in a container, whose own is at the top.
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1900\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 50\n",
        },
    )
    assert sorted(cgroup_rooms(tmp_path)) == [150, 450]


def test_where_there_are_no_control_groups_nothing_is_said(tmp_path: Path):
    assert list(cgroup_rooms(tmp_path)) == []


def test_this_machine_has_some_memory():
    assert 2 * RUNTIME < memory.free_memory(CPU) < 10**14
