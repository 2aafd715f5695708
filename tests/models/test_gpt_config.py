"""The parameters that a configuration names are those of the model."""

from scratchlm.models.gpt import GPT
from scratchlm.models.gpt_config import GPTConfig, parameter_shapes


def test_names_shapes_and_order_are_those_of_the_model():
    config = GPTConfig(n_layer=11, n_head=2, n_embd=8, context_length=16, vocab_size=50)
    expected = {name: tuple(parameter.shape) for name, parameter in GPT(config).named_parameters()}
    assert list(parameter_shapes(config).items()) == list(expected.items())
