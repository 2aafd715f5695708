"""The model computes what transformers' GPT-2 computes, and is initialised as GPT-2 was."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT, GPTConfig
from tests.models.conftest import CONFIG, make_gpt, random_tokens


@pytest.fixture(scope="module")
def gpt() -> GPT:
    return make_gpt()


@pytest.fixture(scope="module")
def reference(gpt: GPT) -> Any:
    """The model of transformers with the same weights; its implementation of attention is the default one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=CONFIG.n_layer,
        n_head=CONFIG.n_head,
        n_embd=CONFIG.n_embd,
        n_positions=CONFIG.context_length,
        vocab_size=CONFIG.vocab_size,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config)
    model.transformer.load_state_dict(gpt.state_dict())
    return model.eval()


@torch.no_grad()
def test_logits_equal_transformers_in_float64(reference: Any):
    tokens = random_tokens(4, 32)
    expected = reference.double()(tokens).logits
    assert 80 < expected.abs().max() < 200
    torch.testing.assert_close(make_gpt().double()(tokens), expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_float32_logits_are_as_exact_as_those_of_transformers(gpt: GPT, reference: Any):
    tokens = random_tokens(8, 32)
    exact = reference.double()(tokens).logits
    their_error = (reference.float()(tokens).logits - exact).abs().max()
    our_error = (gpt(tokens) - exact).abs().max()
    assert 0 < our_error <= 2 * their_error


def test_dropout_falls_where_that_of_transformers_falls(reference: Any):
    model, tokens = make_gpt().train(), random_tokens(2, 16)
    torch.manual_seed(7)
    ours = model(tokens)
    torch.manual_seed(7)
    theirs = reference.float().train()(tokens).logits
    reference.eval()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-2)
    assert (ours - model.eval()(tokens)).abs().max() > 1


@torch.no_grad()
def test_future_tokens_do_not_change_past_logits(gpt: GPT):
    tokens = random_tokens(2, 20)
    changed = tokens.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % CONFIG.vocab_size
    before, after = gpt(tokens), gpt(changed)
    assert torch.equal(before[:, :12], after[:, :12])
    assert (before[:, 12:] - after[:, 12:]).abs().min(dim=-1).values.max() > 0


@torch.no_grad()
def test_cache_gives_the_logits_of_a_full_pass():
    model, tokens = make_gpt().double(), random_tokens(3, 24)
    padding = torch.tensor([0, 2, 9])
    cache = model.new_cache(padding, capacity=24)
    assert cache.mask(10).any(dim=-1).all()
    columns = [model(tokens[:, :10], cache), model(tokens[:, 10:13], cache)]
    columns += [model(tokens[:, [column]], cache) for column in range(13, 24)]
    with_cache = torch.cat(columns, dim=1)
    for row, pad in enumerate(padding):
        alone = model(tokens[[row], pad:])[0]
        torch.testing.assert_close(with_cache[row, pad:], alone, rtol=1e-9, atol=1e-9)


def test_too_many_tokens_are_refused_with_the_limit(gpt: GPT):
    with pytest.raises(UserError, match="33 tokens exceed the model's context_length of 32"):
        gpt(random_tokens(1, 33))
    with pytest.raises(UserError, match="33 tokens exceed the model's context_length of 32"):
        gpt(random_tokens(1, 33), gpt.new_cache(torch.zeros(1, dtype=torch.long), capacity=40))


@torch.no_grad()
def test_padding_takes_no_room_in_the_context(gpt: GPT):
    tokens = random_tokens(1, 32)
    with_cache = gpt(torch.cat([random_tokens(1, 8), tokens], dim=1), gpt.new_cache(torch.tensor([8]), capacity=40))
    torch.testing.assert_close(with_cache[:, 8:], gpt(tokens), rtol=1e-4, atol=1e-2)


@torch.no_grad()
def test_rows_that_are_kept_go_on_as_if_they_were_alone():
    model, tokens, padding = make_gpt().double(), random_tokens(4, 20), torch.tensor([0, 2, 9, 3])
    cache = model.new_cache(padding, capacity=24)
    for memory in (cache.keys, cache.values):
        memory.fill_(torch.nan)  # as memory that nobody has written may be
    model.hidden(tokens[:2, :10], cache.part(0, 2, column=0))
    model.hidden(tokens[2:, 3:10], cache.part(2, 2, column=3))
    cache.length = 10
    model.hidden(tokens[:, 10:13], cache)
    cache.keep([0, 3, 2])
    model.hidden(tokens[[0, 3, 2], 13:15], cache)
    cache.keep([2, 1])
    for row, logits in zip([2, 3], model(tokens[[2, 3], 15:], cache), strict=True):
        torch.testing.assert_close(logits, model(tokens[[row], padding[row] :])[0, -5:], rtol=1e-9, atol=1e-9)


def test_output_layer_is_the_token_embedding():
    model = make_gpt()
    assert not any("lm_head" in name for name in model.state_dict())
    model.logits(torch.ones(1, CONFIG.n_embd)).sum().backward()
    assert torch.equal(model.wte.weight.grad, torch.ones(CONFIG.vocab_size, CONFIG.n_embd))


def test_initial_weights_have_the_spread_of_gpt2():
    config = CONFIG.model_copy(update={"n_layer": 8, "n_embd": 128})
    model = GPT(config)
    model.init_weights(seed=0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "ln_" in name:
            assert (parameter == 1).all(), name
        else:
            std = 0.02 / math.sqrt(2 * 8) if name.endswith("c_proj.weight") else 0.02
            error = std / math.sqrt(parameter.numel())
            assert abs(parameter.mean().item()) < 5 * error, name
            assert parameter.std().item() == pytest.approx(std, abs=5 * error), name


def test_initial_weights_depend_on_the_seed_alone():
    states = []
    for global_seed, seed in [(1, 5), (2, 5), (1, 6)]:
        torch.manual_seed(global_seed)
        model = GPT(CONFIG)
        model.init_weights(seed)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["wte.weight"], states[2]["wte.weight"])


def test_initial_loss_is_that_of_a_uniform_guess():
    model = GPT(CONFIG)
    model.init_weights(seed=0)
    tokens = random_tokens(8, 32)
    loss = torch.nn.functional.cross_entropy(model.eval()(tokens).flatten(0, 1), tokens.flatten().roll(1))
    assert loss.item() == pytest.approx(math.log(CONFIG.vocab_size), abs=0.05)


@pytest.mark.parametrize(
    ("n_layer", "n_head", "n_embd", "count"), [(12, 12, 768, 124_439_808), (24, 16, 1024, 354_823_168)]
)
def test_gpt2s_sizes_have_their_number_of_parameters(n_layer: int, n_head: int, n_embd: int, count: int):
    config = GPTConfig(n_layer=n_layer, n_head=n_head, n_embd=n_embd, context_length=1024, vocab_size=50257)
    with torch.device("meta"):
        assert GPT(config).num_parameters() == count


def test_heads_must_divide_the_embedding():
    with pytest.raises(ValidationError, match="must be a multiple of n_head 5"):
        GPTConfig(n_layer=1, n_head=5, n_embd=64, context_length=8, vocab_size=10)
