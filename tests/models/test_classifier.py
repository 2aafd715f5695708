"""The classifier computes what AutoModelForSequenceClassification computes, its variants what the formulas say."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from scratchlm.artifacts import read_json
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import load_gpt, load_model, save_model
from tests.models.conftest import CONFIG, make_gpt, random_tokens

LENGTHS = torch.tensor([1, 7, 20, 13])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    """A saved classifier of three classes with weights of realistic scale."""
    model = GPTClassifier(make_gpt(), 3)
    model.init_head(seed=0)
    with torch.no_grad():
        model.score.weight *= 20
    path = tmp_path_factory.mktemp("models") / "classifier"
    save_model(model, path, tokenizer=tokenizer_folder, card="", class_names=["ham", "spam", "eggs"])
    return path


def padded_batch() -> torch.Tensor:
    """Rows of `LENGTHS` tokens, filled up with the end of text."""
    tokens = random_tokens(len(LENGTHS), 20)
    tokens[torch.arange(20) >= LENGTHS[:, None]] = CONFIG.vocab_size - 1
    return tokens


@torch.no_grad()
def test_logits_equal_transformers_for_rows_of_any_length(directory: Path):
    from transformers import AutoModelForSequenceClassification

    reference = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float64).eval()
    tokens = padded_batch()
    expected = reference(tokens, attention_mask=(torch.arange(20) < LENGTHS[:, None]).long()).logits
    logits = load_model(directory).double()(tokens, LENGTHS)
    assert expected.abs().max() > 10
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    assert reference.config.id2label == {0: "ham", 1: "spam", 2: "eggs"}


@torch.no_grad()
def test_padding_does_not_change_logits(directory: Path):
    model, tokens = load_model(directory).double(), padded_batch()
    other_padding = torch.where(torch.arange(20) >= LENGTHS[:, None], 3, tokens)
    together = model(tokens, LENGTHS)
    assert torch.equal(together, model(other_padding, LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = model(tokens[[row], :length], LENGTHS[[row]])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-9, atol=1e-9)


def plain_hidden(trunk: GPT, tokens: torch.Tensor, may_attend: torch.Tensor) -> torch.Tensor:
    """Hidden states (T, C) of one text by the formulas of GPT-2, one head at a time; `may_attend` is (T, T)."""
    config = trunk.config
    x = trunk.wte.weight[tokens] + trunk.wpe.weight[: len(tokens)]
    for block in trunk.h:
        normed = F.layer_norm(x, (config.n_embd,), block.ln_1.weight, block.ln_1.bias, config.layer_norm_epsilon)
        query, key, value = (normed @ block.attn.c_attn.weight + block.attn.c_attn.bias).chunk(3, dim=-1)
        heads = []
        for q, k, v in zip(*(part.chunk(config.n_head, dim=-1) for part in (query, key, value)), strict=True):
            scores = (q @ k.T / q.shape[-1] ** 0.5).masked_fill(~may_attend, -torch.inf)
            heads.append(scores.softmax(dim=-1) @ v)
        x = x + torch.cat(heads, dim=-1) @ block.attn.c_proj.weight + block.attn.c_proj.bias
        normed = F.layer_norm(x, (config.n_embd,), block.ln_2.weight, block.ln_2.bias, config.layer_norm_epsilon)
        inner = F.gelu(normed @ block.mlp.c_fc.weight + block.mlp.c_fc.bias, approximate="tanh")
        x = x + inner @ block.mlp.c_proj.weight + block.mlp.c_proj.bias
    return F.layer_norm(x, (config.n_embd,), trunk.ln_f.weight, trunk.ln_f.bias, config.layer_norm_epsilon)


def plain_logits(model: GPTClassifier, tokens: torch.Tensor, length: int) -> torch.Tensor:
    """Logits (K,) of one padded text; only `last_padded` reads its padding."""
    position, causal = model.readout.position, model.readout.causal
    text = tokens if position == "last_padded" else tokens[:length]
    columns = torch.arange(len(text))
    may_attend = columns <= columns[:, None] if causal else (columns < length).expand(len(text), -1)
    hidden = plain_hidden(model.trunk, text, may_attend)
    chosen = {"last": hidden[-1], "last_padded": hidden[-1], "first": hidden[0], "mean": hidden.mean(dim=0)}[position]
    return model.score.weight @ chosen


READOUTS = [
    Readout(position=position, causal=causal, padded_length=20 if position == "last_padded" else None)
    for position in ("last", "last_padded", "first", "mean")
    for causal in (True, False)
]


def make_classifier(readout: Readout) -> GPTClassifier:
    """A classifier of three classes, its logits of realistic scale."""
    model = GPTClassifier(make_gpt(), 3, readout)
    model.init_head(seed=0)
    with torch.no_grad():
        model.score.weight *= 20
    return model.double()


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@torch.no_grad()
def test_every_readout_is_what_the_formulas_say(readout: Readout):
    model, tokens = make_classifier(readout), padded_batch()
    expected = torch.stack([plain_logits(model, row, int(length)) for row, length in zip(tokens, LENGTHS, strict=True)])
    assert expected.abs().max() > 10
    torch.testing.assert_close(model(tokens, LENGTHS), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@torch.no_grad()
def test_padding_reaches_no_real_token_and_counts_for_last_padded_alone(readout: Readout):
    model, tokens = make_classifier(readout), padded_batch()
    other_padding = torch.where(torch.arange(20) >= LENGTHS[:, None], 3, tokens)
    logits, others = model(tokens, LENGTHS), model(other_padding, LENGTHS)
    padded = LENGTHS < 20
    assert torch.equal(logits[~padded], others[~padded])
    assert torch.equal(logits[padded], others[padded]) == (readout.position != "last_padded")


@torch.no_grad()
def test_without_the_causal_mask_the_first_token_sees_the_last():
    tokens = padded_batch()
    changed = tokens.clone()
    changed[2, 19] = 3
    for causal in (True, False):
        model = make_classifier(Readout(position="first", causal=causal))
        assert torch.equal(model(tokens, LENGTHS)[2], model(changed, LENGTHS)[2]) == causal


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@torch.no_grad()
def test_a_saved_classifier_says_what_it_computes(readout: Readout, tmp_path: Path, tokenizer_folder: Path):
    model = make_classifier(readout).float()
    save_model(model, tmp_path / "saved", tokenizer=tokenizer_folder, card="", class_names=["ham", "spam", "eggs"])
    loaded = load_model(tmp_path / "saved")
    assert isinstance(loaded, GPTClassifier)
    assert loaded.readout == readout
    assert torch.equal(loaded(padded_batch(), LENGTHS), model(padded_batch(), LENGTHS))
    config = read_json(tmp_path / "saved/config.json")
    computed_by_transformers = readout == Readout()
    assert ("architectures" in config) == computed_by_transformers
    assert ("readout" in config) != computed_by_transformers
    with pytest.raises(UserError, match="holds a classifier"):
        load_gpt(tmp_path / "saved")


@pytest.mark.parametrize(("position", "padded_length"), [("last_padded", None), ("mean", 20)])
def test_a_padded_length_belongs_to_the_last_padded_column(position: str, padded_length: int | None):
    with pytest.raises(ValueError, match="last_padded"):
        Readout.model_validate({"position": position, "padded_length": padded_length})


def test_head_depends_on_the_seed_alone():
    heads = []
    for global_seed, seed in [(1, 5), (2, 5), (1, 6)]:
        torch.manual_seed(global_seed)
        model = GPTClassifier(make_gpt(), 2)
        model.init_head(seed)
        heads.append(model.score.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
