"""The contestants of `benchmarks.pretrain_step`: what makes one training step of each, on the same random tokens."""

import argparse
import sys
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn
from torch.optim import Optimizer

from benchmarks.side_by_side import ROOT
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.params import read_yaml
from scratchlm.training.batches import Batch
from scratchlm.training.device import compile_loss, keep_freed_memory
from scratchlm.training.loop import TrainingConfig, take_step
from scratchlm.training.losses import next_token_loss
from scratchlm.training.optimizer import build_optimizer

Step = Callable[[], object]


class RandomBatches:
    """The same random tokens at every step, as the loop asks for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        shape = (options.batch_size, options.seq_len + 1)
        tokens = torch.randint(options.vocab_size, shape, generator=torch.Generator().manual_seed(0))
        lengths = torch.full((options.batch_size,), options.seq_len)
        self.batch = Batch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), lengths)

    def micro_steps(self, step: int) -> int:
        """One micro-batch a step."""
        return 1

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """The one batch."""
        return self.batch

    def target_count(self, step: int) -> int:
        """Every token has a target."""
        return self.batch.tokens.numel()


def our_step(options: argparse.Namespace) -> Step:
    """A step of the loop with the parameters of the stage `pretrain`, at the shape asked for."""
    n_layer, n_head, n_embd = options.shape
    shape = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "context_length": options.seq_len}
    model = GPT(GPTConfig(**shape, vocab_size=options.vocab_size, dropout=0.0))
    model.init_weights(seed=0)
    model.to(options.device)
    section = read_yaml(ROOT / "recipes/sample.yaml")["pretrain"] | {"precision": options.precision}
    config = TrainingConfig.model_validate({name: section[name] for name in TrainingConfig.model_fields})
    optimizer, batches = build_optimizer(model, config), RandomBatches(options)
    loss_fn = compile_loss(next_token_loss) if options.compile else next_token_loss
    keep_freed_memory()
    return lambda: take_step(model, batches, loss_fn, optimizer, config, step=0, steps=1)


def nanogpt_step(options: argparse.Namespace) -> Step:
    """A step as nanoGPT's train.py does it: its model, vocabulary and optimizer; on a CPU without its fused one."""
    sys.path.insert(0, options.nanogpt)
    import model as nanogpt  # pyright: ignore

    n_layer, n_head, n_embd = options.shape
    vocab_size = -(-options.vocab_size // 64) * 64  # 50,304 for 50,257
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "block_size": options.seq_len}
    model = nanogpt.GPT(nanogpt.GPTConfig(**sizes, vocab_size=vocab_size, dropout=0.0, bias=False)).to(options.device)
    optimizer = model.configure_optimizers(0.1, 6e-4, (0.9, 0.95), options.device)
    compute = torch.compile(model) if options.compile else model
    return _peer_step(options, model, optimizer, lambda tokens, targets: compute(tokens, targets)[1])


def book_step(options: argparse.Namespace) -> Step:
    """A step of the book's gpt_train.py, with clipping, which its appendix D adds."""
    sys.path.insert(0, f"{options.book}/ch05/01_main-chapter-code")
    from gpt_train import calc_loss_batch  # pyright: ignore
    from previous_chapters import GPTModel  # pyright: ignore

    n_layer, n_head, n_embd = options.shape
    sizes = {"vocab_size": options.vocab_size, "context_length": options.seq_len, "emb_dim": n_embd}
    model = GPTModel({**sizes, "n_heads": n_head, "n_layers": n_layer, "drop_rate": 0.0, "qkv_bias": False})
    optimizer = torch.optim.AdamW(model.to(options.device).parameters(), lr=5e-4, weight_decay=0.1)
    compute = torch.compile(model) if options.compile else model
    return _peer_step(options, model, optimizer, lambda *batch: calc_loss_batch(*batch, compute, options.device))


def transformers_step(options: argparse.Namespace) -> Step:
    """A step of transformers' GPT-2, with its own loss and the optimizer that its Trainer takes."""
    from transformers import GPT2Config, GPT2LMHeadModel

    n_layer, n_head, n_embd = options.shape
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "n_positions": options.seq_len}
    others = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": None, "eos_token_id": None}
    model = GPT2LMHeadModel(GPT2Config(**sizes, **others, vocab_size=options.vocab_size)).to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.1, fused=True)
    compute = torch.compile(model) if options.compile else model
    return _peer_step(options, model, optimizer, lambda tokens, _: compute(tokens, labels=tokens).loss)


STEPS = {"nanoGPT": nanogpt_step, "book": book_step, "transformers": transformers_step, "ours": our_step}


def _peer_step(
    options: argparse.Namespace,
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: Callable[..., torch.Tensor],
) -> Step:
    batch = RandomBatches(options).batch.to(torch.device(options.device))
    precision = torch.autocast(options.device, torch.bfloat16) if options.precision == "bfloat16" else nullcontext()
    model.train()

    def step() -> float:
        with precision:
            loss = loss_fn(batch.tokens, batch.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step
