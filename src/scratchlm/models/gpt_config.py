"""What determines a GPT's parameters and function, and what those parameters are called; no torch."""

from pydantic import Field, ValidationInfo, field_validator

from scratchlm.params import Schema


class GPTShape(Schema):
    """What one chooses of a model: the vocabulary comes with the tokenizer."""

    n_layer: int = Field(gt=0, le=1_000)  # a layer takes memory before its weights do
    n_head: int = Field(gt=0)
    n_embd: int = Field(gt=0)
    context_length: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)

    @field_validator("n_embd")
    @classmethod
    def _divide_into_heads(cls, n_embd: int, info: ValidationInfo) -> int:
        n_head = info.data.get("n_head", 1)
        if n_embd % n_head:
            raise ValueError(f"must be a multiple of n_head {n_head}")
        return n_embd


class GPTConfig(GPTShape):
    """All that determines the parameters and the function of a model; the defaults are GPT-2's."""

    vocab_size: int = Field(gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    layer_norm_epsilon: float = Field(default=1e-5, gt=0)


def parameter_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """The name and shape of each parameter of a `GPT`, in its order."""
    width = config.n_embd
    block = {
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "attn.c_attn.weight": (width, 3 * width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (width, 4 * width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (4 * width, width),
        "mlp.c_proj.bias": (width,),
    }
    return {
        "wte.weight": (config.vocab_size, width),
        "wpe.weight": (config.context_length, width),
        **{f"h.{layer}.{name}": shape for layer in range(config.n_layer) for name, shape in block.items()},
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }
