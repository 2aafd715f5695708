"""Small models with weights as a trained GPT-2 has them, and a tokenizer folder to save them with."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from scratchlm.models.gpt import GPT, GPTConfig

CONFIG = GPTConfig(n_layer=3, n_head=4, n_embd=64, context_length=32, vocab_size=211)


def make_gpt(config: GPTConfig = CONFIG, seed: int = 0) -> GPT:
    """A model with logits near 100 and outlier channels, as GPT-2 has them; at initialisation all would be near 0."""
    model = GPT(config)
    model.init_weights(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.3, generator=generator)
            elif "ln_" in name:
                parameter.add_(torch.rand(parameter.shape, generator=generator))
                parameter[:3] *= 15
            else:
                parameter *= 8
        model.wte.weight[:, 5] += 2
        model.wpe.weight[:, 7] += 3
        model.ln_f.weight *= 3
    return model.eval()


def random_tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    """Tokens of the small vocabulary, without its end of text."""
    return torch.randint(CONFIG.vocab_size - 1, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer with as many entries as the models have, the last of which is the end of text."""
    folder = tmp_path_factory.mktemp("tokenizer")
    words = {f"w{index}": index for index in range(CONFIG.vocab_size - 1)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
