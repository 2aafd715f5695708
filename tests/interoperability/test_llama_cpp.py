"""llama.cpp converts a model directory with its own script, and then computes what this project computes."""

import json
from pathlib import Path

import pytest
import torch

from scratchlm.datasets.prompts import TEMPLATES, format_prompt
from scratchlm.datasets.tokenizer_building import write_tokenizer
from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.models.sampling import generate, next_token_logits
from scratchlm.models.storage import load_gpt, save_model
from tests.corpora import write_byte_tokenizer
from tests.interoperability import llama_cpp_package
from tests.interoperability.conftest import make_model
from tests.tiny_model import greedy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

PROMPTS = ["The capital of France", "Every effort moves you, and 123 élan 🚀"]
QUESTION = "What is a colour?"

# Prints, for each prompt, its tokens, the logits of the next one, and the 16 most probable tokens; and an answer.
SCRIPT = """
import json, sys
from llama_cpp import Llama

path, question, *prompts = sys.argv[1:]
model = Llama(path, n_ctx=0, type_k=0, type_v=0, logits_all=True, verbose=False)  # 0: a float32 cache
rows = []
for prompt in prompts:
    tokens = model.tokenize(prompt.encode(), add_bos=False)
    new = [token for token, _ in zip(model.generate(tokens, temp=0.0, repeat_penalty=1.0), range(16))]
    model.reset()
    model.eval(tokens)
    rows.append([tokens, model.scores[len(tokens) - 1].tolist(), new])
message = {"role": "user", "content": question}
answer = model.create_chat_completion([message], max_tokens=16, temperature=0.0, repeat_penalty=1.0)
print(json.dumps([rows, answer["choices"][0]["message"]["content"]]))
"""


@pytest.fixture(scope="module", autouse=True)
def llama_cpp() -> None:
    """The converter and the library."""
    llama_cpp_package.build("llama")


def save(folder: Path, tokenizer: Tokenizer) -> Path:
    """A model directory beside the tokenizer's."""
    model = make_model(tokenizer)
    save_model(model, folder / "model", tokenizer=folder / "tokenizer", card="", chat_template=TEMPLATES["alpaca"])
    return folder / "model"


def test_tokens_logits_greedy_text_and_answers_are_ours(mirror: Path, tmp_path: Path):
    (tmp_path / "tokenizer").mkdir()
    write_tokenizer(tmp_path / "tokenizer", "gpt2", [], vocab_size=50_257)
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    directory = save(tmp_path, tokenizer)
    llama_cpp_package.convert(directory, tmp_path / "model.gguf")
    rows, answer = json.loads(llama_cpp_package.run_python(SCRIPT, str(tmp_path / "model.gguf"), QUESTION, *PROMPTS))
    tokens, logits, new_tokens = (list(column) for column in zip(*rows, strict=True))
    model, asked = load_gpt(directory), tokenizer.encode(format_prompt({"instruction": QUESTION, "input": ""}))
    assert tokens == [tokenizer.encode(prompt) for prompt in PROMPTS]
    expected = next_token_logits(model, tokens)
    # ggml reads GELU from a table in float16 (GGML_GELU_FP16 in ggml-cpu/vec.h), whose values round at 2^-11.
    assert (torch.tensor(logits) - expected).abs().max() < 2**-10 * expected.abs().max()
    *texts, reply = generate(model, [*tokens, asked], greedy(16))
    assert new_tokens == texts
    assert answer == tokenizer.decode(reply)


def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused(tmp_path: Path):
    directory = save(tmp_path, write_byte_tokenizer(tmp_path / "tokenizer"))
    with pytest.raises(AssertionError, match="BPE pre-tokenizer was not recognized"):
        llama_cpp_package.convert(directory, tmp_path / "model.gguf")
