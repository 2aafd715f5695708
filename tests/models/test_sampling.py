"""Generation: what a row holds does not depend on caching, padding, or the rows beside it."""

import pytest
import torch

from scratchlm.artifacts import write_json
from scratchlm.errors import UserError
from scratchlm.models import sampling
from scratchlm.models.gpt import GPT, GPTConfig, KVCache
from scratchlm.models.sampling import (
    generate,
    next_token_probabilities,
    penalise_repetition,
    stream,
)
from scratchlm.models.storage import save_model
from tests.tiny_model import greedy

CONFIG = GPTConfig(n_layer=2, n_head=2, n_embd=16, context_length=24, vocab_size=40)
PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [1], [2, 3, 4], [12, 13, 14, 15], [39, 38], [0, 0, 0, 0, 0, 0, 0, 0, 0]]
GREEDY = greedy(12)
DRAWN = GREEDY.model_copy(update={"temperature": 1.0, "seed": 7})


@pytest.fixture(scope="module")
def model() -> GPT:
    """Random weights large enough that the tokens vary."""
    model = GPT(CONFIG)
    model.init_weights(seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter *= 1 if "ln_" in name else 20
    return model


@torch.no_grad()
def greedy_without_cache(model: GPT, prompt: list[int], count: int) -> list[int]:
    """The most probable token, again and again, the whole text read anew each time."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model.eval()(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[len(prompt) :]


def test_greedy_text_is_that_of_the_uncached_model(model: GPT):
    rows = generate(model, PROMPTS, GREEDY, batch_size=4)
    assert rows == [greedy_without_cache(model, prompt, 12) for prompt in PROMPTS]
    assert len({tuple(row) for row in rows}) == len(PROMPTS)


@torch.no_grad()
def test_cached_text_leaves_the_uncached_one_only_where_two_logits_are_within_1e_4(model: GPT):
    random = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 12, (60,), generator=random).tolist()
    prompts = [torch.randint(40, (length,), generator=random).tolist() for length in lengths]
    limits = torch.randint(1, 13, (60,), generator=random).tolist()
    rows, equal = generate(model, prompts, GREEDY, batch_size=25, limits=limits), 0
    for prompt, row, limit in zip(prompts, rows, limits, strict=True):
        plain = greedy_without_cache(model, prompt, limit)
        if row == plain:
            equal += 1
            continue
        common = next(place for place, pair in enumerate(zip(row, plain, strict=True)) if len({*pair}) == 2)
        best = model(torch.tensor([prompt + plain[:common]]))[0, -1].topk(2).values
        assert best[0] - best[1] < 1e-4
    assert equal >= 59


@pytest.fixture(scope="module")
def reference(model: GPT, tmp_path_factory: pytest.TempPathFactory):
    """The same model directory in `transformers`."""
    from transformers import GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("reference")
    write_json(folder / "tokenizer/tokenizer.json", {"added_tokens": [{"content": "<|endoftext|>", "id": 0}]})
    write_json(folder / "tokenizer/tokenizer_config.json", {})
    save_model(model, folder / "model", tokenizer=folder / "tokenizer", card="")
    return GPT2LMHeadModel.from_pretrained(folder / "model")


@pytest.mark.parametrize("penalty", [1.0, 1.3, 5.0, 0.8])
def test_greedy_text_is_that_of_transformers(model: GPT, reference, penalty: float):
    rows = generate(model, PROMPTS, GREEDY.model_copy(update={"repetition_penalty": penalty}), stop_id=0)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        tokens = torch.tensor([prompt])
        settings = {"max_new_tokens": 12, "do_sample": False, "repetition_penalty": penalty}
        theirs = reference.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)
        assert row == [token for token in theirs[0, len(prompt) :].tolist() if token != 0]
    if penalty != 1:
        assert rows != generate(model, PROMPTS, GREEDY, stop_id=0)


def test_a_drawn_row_does_not_depend_on_the_rows_beside_it(model: GPT):
    together = generate(model, PROMPTS, DRAWN)
    assert together == generate(model, PROMPTS, DRAWN, batch_size=2)
    alone = [generate(model, [prompt], DRAWN, seeds=[7 + row])[0] for row, prompt in enumerate(PROMPTS)]
    assert together == alone


def test_rows_with_the_same_prompt_differ_by_their_seed_alone(model: GPT):
    first, second, third = generate(model, [[1, 2]] * 3, DRAWN, seeds=[1, 2, 1])
    assert first == third != second


def test_a_drawn_text_leaves_the_global_generator_alone(model: GPT):
    before = torch.get_rng_state()
    generate(model, PROMPTS, DRAWN)
    assert torch.equal(before, torch.get_rng_state())


def test_a_row_ends_before_the_stop_token(model: GPT):
    whole = generate(model, PROMPTS, GREEDY)
    stop_id = whole[0][5]
    for row, stopped in zip(whole, generate(model, PROMPTS, GREEDY, stop_id), strict=True):
        assert stopped == (row[: row.index(stop_id)] if stop_id in row else row)


def test_text_ends_where_the_context_is_full_whatever_stands_beside_it(model: GPT):
    long = DRAWN.model_copy(update={"max_new_tokens": 20})
    rows = generate(model, PROMPTS, long, seeds=[1] * len(PROMPTS))
    assert [len(row) for row in rows] == [min(20, 24 - len(prompt)) for prompt in PROMPTS]
    assert rows == [generate(model, [prompt], long, seeds=[1])[0] for prompt in PROMPTS]


def test_frequencies_are_the_probabilities(model: GPT):
    one = greedy(1).model_copy(update={"temperature": 0.8, "top_k": 5})
    tokens = torch.tensor(generate(model, [PROMPTS[0]] * 2000, one, batch_size=500)).flatten()
    with torch.no_grad():
        expected = next_token_probabilities(model(torch.tensor([PROMPTS[0]]))[0, -1], 0.8, top_k=5)
    assert (tokens.bincount(minlength=40) / 2000 - expected).abs().max() < 0.04  # more than 3 standard deviations


def test_temperature_divides_the_logits():
    logits = torch.tensor([[1.0, 3.0, 2.0], [100.0, -100.0, 100.0]])
    for temperature in (0.1, 1.0, 5.0):
        expected = (logits.double() / temperature).softmax(dim=-1)
        torch.testing.assert_close(next_token_probabilities(logits, temperature), expected)


def test_a_tiny_temperature_takes_the_largest_logit():
    assert next_token_probabilities(torch.tensor([1.0, 3.0, 2.0]), 1e-300).tolist() == [0, 1, 0]


def test_top_k_keeps_the_k_largest_and_their_ratios():
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0))
    kept = next_token_probabilities(logits, 1.0, top_k=3)
    largest = logits.topk(3).indices
    assert set(kept.nonzero().flatten().tolist()) == set(largest.tolist())
    torch.testing.assert_close(kept[largest], logits.double()[largest].softmax(dim=-1))
    torch.testing.assert_close(next_token_probabilities(logits, 1.0, top_k=99), logits.double().softmax(dim=-1))


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    logits = torch.tensor([0.5, 0.125, 0.25, 0.125], dtype=torch.double).log()
    for top_p, expected in {
        0.01: [1, 0, 0, 0],
        0.5: [1, 0, 0, 0],
        0.51: [2 / 3, 0, 1 / 3, 0],
        0.75: [2 / 3, 0, 1 / 3, 0],
        0.76: [0.5, 0.125, 0.25, 0.125],  # the last two are as probable as each other: both stay
        1.0: [0.5, 0.125, 0.25, 0.125],
    }.items():
        found = next_token_probabilities(logits, 1.0, top_p=top_p)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.double))


def test_what_is_as_probable_as_the_last_of_the_top_k_stays():
    logits = torch.tensor([1.0, 2.0, 1.0, 0.0])
    assert next_token_probabilities(logits, 1.0, top_k=2).nonzero().flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [None, 1, 7, 300])
@pytest.mark.parametrize("top_p", [0.05, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_the_distribution_is_that_of_transformers(temperature: float, top_k: int | None, top_p: float, penalty: float):
    from transformers import generation

    random = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 200, generator=random, dtype=torch.double) * 4
    context = torch.randint(200, (20, 30), generator=random)
    theirs = generation.RepetitionPenaltyLogitsProcessor(penalty)(context, logits)
    theirs = generation.TemperatureLogitsWarper(temperature)(context, theirs)
    if top_k is not None:
        theirs = generation.TopKLogitsWarper(top_k)(context, theirs)
    theirs = generation.TopPLogitsWarper(top_p)(context, theirs).softmax(dim=-1)

    seen = torch.zeros(20, 200, dtype=torch.bool).scatter(1, context, True)
    ours = next_token_probabilities(penalise_repetition(logits, seen, penalty), temperature, top_k, top_p)
    assert torch.equal(ours > 0, theirs > 0)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_a_penalty_counts_the_prompt_and_the_text_of_its_own_row_alone(model: GPT):
    penalised = DRAWN.model_copy(update={"repetition_penalty": 1.5, "top_p": 0.9})
    together = generate(model, PROMPTS, penalised)
    assert together == [generate(model, [prompt], penalised, seeds=[7 + row])[0] for row, prompt in enumerate(PROMPTS)]
    never_twice = generate(model, PROMPTS, GREEDY.model_copy(update={"repetition_penalty": 1e9}))
    for prompt, row in zip(PROMPTS, never_twice, strict=True):
        assert len({*prompt, *row}) == len({*prompt}) + len(row)


def test_a_row_ends_at_its_own_limit(model: GPT):
    whole, limits = generate(model, PROMPTS, DRAWN), [3, 1, 12, 7, 12, 2]
    limited = generate(model, PROMPTS, DRAWN, limits=limits)
    assert limited == [row[:limit] for row, limit in zip(whole, limits, strict=True)]


def test_no_step_computes_a_row_that_has_ended(model: GPT, monkeypatch: pytest.MonkeyPatch):
    computed, hidden = [], model.hidden

    def count_rows(tokens: torch.Tensor, cache: KVCache) -> torch.Tensor:
        computed.append(len(tokens))
        return hidden(tokens, cache)

    monkeypatch.setattr(model, "hidden", count_rows)
    rows = generate(model, PROMPTS, DRAWN, limits=[3, 1, 12, 7, 12, 2])
    assert computed == [6, 5, 4, 3, 3, 3, 3, 2, 2, 2, 2, 2]  # the prompts, then each new token that another follows
    computed.clear()
    ended = generate(model, PROMPTS, DRAWN, stop_id=rows[2][4], has_ended=lambda tokens: tokens[-1] == rows[4][5])
    assert sum(computed) < 6 * 12
    assert max(map(len, ended)) == len(computed) == 12


def test_prompts_are_read_in_parts_with_the_same_text(model: GPT, monkeypatch: pytest.MonkeyPatch):
    whole = generate(model, PROMPTS, DRAWN)
    monkeypatch.setattr(sampling, "PROMPT_ROWS", 2)
    assert generate(model, PROMPTS, DRAWN) == whole


def test_a_row_ends_with_the_token_that_its_caller_waits_for(model: GPT):
    whole = generate(model, PROMPTS, DRAWN, stop_id=0)
    ended = generate(model, PROMPTS, DRAWN, stop_id=0, has_ended=lambda tokens: sum(tokens) > 60)
    for row, beginning in zip(whole, ended, strict=True):
        assert beginning == next((row[:n] for n in range(1, len(row)) if sum(row[:n]) > 60), row)
    assert ended != whole


def test_a_streamed_text_grows_to_the_generated_one(model: GPT):
    for rules in (GREEDY, DRAWN):
        for prompt in PROMPTS:
            (whole,) = generate(model, [prompt], rules, stop_id=3)
            steps = [list(tokens) for tokens in stream(model, prompt, rules, stop_id=3)]
            assert steps[-1] == whole
            assert [len(tokens) for tokens in steps[: len(whole)]] == list(range(1, len(whole) + 1))


def test_a_stream_refuses_a_prompt_before_its_first_token(model: GPT):
    with pytest.raises(UserError, match="is empty"):
        stream(model, [], GREEDY)


def test_top_1_is_greedy(model: GPT):
    assert generate(model, PROMPTS, DRAWN.model_copy(update={"top_k": 1})) == generate(model, PROMPTS, GREEDY)


def test_no_prompt_gives_no_text(model: GPT):
    assert generate(model, [], GREEDY) == []


def test_a_prompt_that_cannot_be_continued_is_refused(model: GPT):
    with pytest.raises(UserError, match="prompt 2 of 2 is empty"):
        generate(model, [[1], []], GREEDY)
    with pytest.raises(UserError, match=r"prompt 1 of 1 has 24 tokens, the model's context_length of 24 must also"):
        generate(model, [[1] * 24], GREEDY)
    assert len(generate(model, [[1] * 23], GREEDY)[0]) == 1
