"""The benchmark of generation answers every test item, and a stand-in for the book's functions gives the same text."""

import argparse
from pathlib import Path

import pytest

from benchmarks import generate
from benchmarks.generate_contestants import prepare
from benchmarks.side_by_side import run
from scratchlm.artifacts import read_json
from scratchlm.datasets.sources import INSTRUCTIONS

SHAPE = [1, 2, 16]
STAND_IN = """
import torch
from benchmarks.instruct_contestants import random_gpt

def GPTModel(config):
    return random_gpt([config["n_layers"], config["n_heads"], config["emb_dim"]])

def load_weights_into_gpt(model, params):
    state = {"wte.weight": params["wte"], "wpe.weight": params["wpe"]}
    state |= {"ln_f.weight": params["g"], "ln_f.bias": params["b"]}
    for layer, block in enumerate(params["blocks"]):
        for name, arrays in {**block["attn"], **block["mlp"], "ln_1": block["ln_1"], "ln_2": block["ln_2"]}.items():
            part = "attn." if name == "c_attn" else "mlp." if name == "c_fc" else ""
            if name != "c_proj":
                state[f"h.{layer}.{part}{name}.weight"], state[f"h.{layer}.{part}{name}.bias"] = arrays.values()
        for part in ("attn", "mlp"):
            state[f"h.{layer}.{part}.c_proj.weight"] = block[part]["c_proj"]["w"]
            state[f"h.{layer}.{part}.c_proj.bias"] = block[part]["c_proj"]["b"]
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})

@torch.no_grad()
def generate(model, tokens, max_new_tokens, context_size):
    for _ in range(max_new_tokens):
        tokens = torch.cat([tokens, model(tokens)[:, -1:].argmax(dim=-1)], dim=1)
    return tokens
"""


@pytest.fixture
def project(mirror: Path, tmp_path: Path) -> tuple[argparse.Namespace, list[generate.Item]]:
    """The book's items, a tiny model, and a stand-in for its functions."""
    chapter = tmp_path / "peer/ch07/01_main-chapter-code"
    chapter.mkdir(parents=True)
    (chapter / "previous_chapters.py").write_text(STAND_IN)
    items = prepare(tmp_path, mirror / INSTRUCTIONS["book"].urls[0].removeprefix("https://"), SHAPE)
    return argparse.Namespace(peer=tmp_path / "peer", shape=SHAPE), items


def test_both_sides_answer_up_to_the_length_of_each_reference(project, tmp_path: Path):
    options, items = project
    chosen = generate._spread_by_length(items, 3)
    contestants = [generate.contestant(job, job, options, tmp_path, chosen=chosen) for job in ("book", "ours")]
    assert all(run(contestant)["answer_seconds"] > 0 for contestant in contestants)
    theirs, ours = (read_json(tmp_path / f"{job}.json") for job in ("book", "ours"))
    assert [len(text) for text in ours] == [item["reference"] for item in items]
    assert theirs == [ours[number] for number in chosen]
    assert len({token for text in theirs for token in text}) > 5


def test_the_least_time_is_that_of_products_and_of_reading_the_cache():
    items = [{"prompt": [1, 2, 3], "reference": 2}]
    limits = {"float32_gflops": 1e-9, "copy_gb_per_second": 1e-9}  # one operation, one byte a second
    tokens, columns = 3 + 1, 4
    expected = 2 * (12 * 16**2 * tokens + 50_257 * 16 * 2) + 2 * 4 * 16 * columns
    assert generate.least_seconds(items, None, SHAPE, limits) == pytest.approx(expected)
