"""The one training loop: pretraining, classification and instruction tuning hand in what differs."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from scratchlm.errors import UserError
from scratchlm.params import Seed
from scratchlm.training.batches import Batch, Batches
from scratchlm.training.checkpoint import Progress, load_best, load_checkpoint, save_best, save_checkpoint
from scratchlm.training.device import compile_loss, keep_freed_memory, warn_if_slow
from scratchlm.training.disk_space import check_disk_space
from scratchlm.training.optimizer import OptimizerConfig, build_optimizer, learning_rate, set_learning_rate
from scratchlm.training.parallel import Strategy, parallelize, sync_gradients
from scratchlm.training.ranks import gather_step, on_any_rank, rank, stopping_with_others, world_size
from scratchlm.training.sharded_state import unsharded
from scratchlm.training.signals import StopRequest, stop_on_signal
from scratchlm.training.speed_meter import SpeedMeter
from scratchlm.training.spikes import find_spike, remember_step
from scratchlm.workspace import resumed_with_other_code

NOT_APPLIED = "the step was not applied; lower the learning rate or lengthen the warm-up."

ModelT = TypeVar("ModelT", bound=nn.Module)


class LoopConfig(OptimizerConfig):
    """What every training needs, whatever its batches and its loss, but for the seed."""

    micro_batch_size: int = Field(gt=0)
    eval_every_steps: int = Field(gt=0)
    save_every_steps: int = Field(gt=0)
    patience_evals: int | None = Field(gt=0)
    keep: Literal["last", "best"]
    compile: bool
    skip_spikes: bool


class TrainingConfig(LoopConfig):
    """What one training needs: `seed` is that of its data order and its dropout."""

    seed: Seed


def train(
    model: ModelT,
    batches: Batches,
    loss_fn: Callable[[ModelT, Batch], torch.Tensor],
    evaluate: Callable[[ModelT], dict[str, float]],
    config: TrainingConfig,
    steps: int,
    folder: Path,
    sample: Callable[[ModelT], list[dict[str, Any]]] | None = None,
    strategy: Strategy = "ddp",
    stop: StopRequest | None = None,
) -> tuple[Progress, dict[str, float]]:
    """Train in place for `steps` optimizer steps, resuming from `folder`; return what was recorded and the run's speed.

    `loss_fn` gives the sum of a micro-batch's losses; `evaluate` gives metrics with `val_loss` among them; what
    `sample` gives is kept with the step. One row is recorded at each evaluation, and the training ends early when
    `patience_evals` of them in a row are no better than the best before. A signal saves and raises KeyboardInterrupt:
    it waits for the end of a step, but breaks an evaluation off, which the next run then makes first. Of several
    processes none may leave it alone: their `evaluate` looks at `stop`. A loss or gradient that is not finite raises
    UserError before the step is applied.
    """
    if rank() == 0:
        warn_if_slow(config.precision, next(model.parameters()).device)
    keep_freed_memory()
    loss_fn = compile_loss(loss_fn) if config.compile else loss_fn
    parallel = parallelize(model, strategy)
    optimizer = build_optimizer(parallel.trained, config)
    progress = load_checkpoint(folder, parallel.trained, optimizer, config.keep == "best")
    progress.other_code |= resumed_with_other_code(folder)
    if rank() == 0:
        check_disk_space(folder, model, config.keep == "best")
    meter = SpeedMeter(progress.step, steps)
    with stop_on_signal(stop) as stop, stopping_with_others(stop), meter:
        while (due := is_evaluation_due(progress, config, steps)) or not is_over(progress, steps):
            if due:
                with parallel.whole() as whole:
                    measured = measure(whole, evaluate, sample, stop)
                    if measured is not None:
                        record_evaluation(progress, whole, *measured, config, steps, folder)
                        meter.report(progress.rows[-1])
            else:
                loss, norm, tokens, spike = take_step(
                    parallel.forward, batches, loss_fn, optimizer, config, progress.step, steps, progress.recent_steps
                )
                record_step(progress, loss, norm, spike, config)
                meter.update(loss, tokens, spike)
            stopping = on_any_rank(stop.received)
            if is_evaluation_due(progress, config, steps) and not stopping:
                continue
            if stopping or is_over(progress, steps) or progress.step % config.save_every_steps == 0:
                save_checkpoint(folder, parallel.trained, optimizer, progress)
            if stopping:
                raise KeyboardInterrupt
    parallel.gather()
    if config.keep == "best":
        load_best(folder, model, progress.best_step)
    return progress, meter.facts()


def take_step(
    model: nn.Module,
    batches: Batches,
    loss_fn: Callable[[Any, Batch], torch.Tensor],
    optimizer: Optimizer,
    config: TrainingConfig,
    step: int,
    steps: int,
    recent_steps: Sequence[Sequence[float]] = (),
) -> tuple[float, float, int, str | None]:
    """Apply step 0..steps-1; return its mean loss, the norm of its gradient before clipping, the tokens that all
    processes read, and why it was skipped if it was.

    A loss or norm that is not finite raises UserError before the weights move.
    """
    set_learning_rate(optimizer, learning_rate(step, steps, config))
    losses, tokens = accumulate_gradients(model, batches, loss_fn, config, step)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    total_norm = nn.utils.get_total_norm(gradients)
    # The one time that a step waits for its device.
    *losses, norm = gather_step(losses, unsharded(total_norm)).tolist()
    stop_if_not_finite(losses, norm, step)
    loss = math.fsum(losses)
    spike = find_spike(recent_steps, loss, norm) if config.skip_spikes else None
    if spike is None:
        if norm > config.max_grad_norm:  # else the product with 1 would only cost time
            nn.utils.clip_grads_with_norm_(model.parameters(), config.max_grad_norm, total_norm)
        optimizer.step()
    optimizer.zero_grad()
    return loss, norm, tokens * world_size(), spike


def accumulate_gradients(
    model: nn.Module,
    batches: Batches,
    loss_fn: Callable[[Any, Batch], torch.Tensor],
    config: TrainingConfig,
    step: int,
) -> tuple[list[torch.Tensor], int]:
    """Add up the gradients of a step's micro-batches; return each one's share of the mean loss, still on the
    device, and the tokens read.

    Of several processes each computes every world_size-th micro-batch. Dropout of each is seeded by (seed, step,
    micro-step), so it depends neither on what ran before nor on which process computes it.
    """
    device = next(model.parameters()).device
    total = batches.target_count(step)
    losses, tokens = [], 0
    model.train()
    mine = range(batches.micro_steps(step))[rank() :: world_size()]
    for micro_step in mine:
        torch.manual_seed(dropout_seed(config.seed, step, micro_step))
        batch = batches.micro_batch(step, micro_step).to(device)
        sync_gradients(model, micro_step == mine[-1])
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            loss = loss_fn(model, batch) / total
        loss.backward()
        losses.append(loss.detach())
        tokens += int(batch.tokens.numel())
    return losses, tokens


def dropout_seed(seed: int, step: int, micro_step: int) -> int:
    """A 64-bit seed that is a pure function of its three numbers."""
    return int(np.random.SeedSequence([seed, step, micro_step]).generate_state(1, np.uint64)[0])


def stop_if_not_finite(losses: list[float], norm: float, step: int) -> None:
    """Raise UserError before a step that would spoil the weights; the last checkpoint stays as it is."""
    for micro_step, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise UserError(f"step {step}: the loss of micro-batch {micro_step} is {loss}; {NOT_APPLIED}")
    if not math.isfinite(norm):
        of = f"micro-batches 0 to {len(losses) - 1}"
        raise UserError(f"step {step}: the norm of the gradient of {of} is {norm}; {NOT_APPLIED}")


def record_step(progress: Progress, loss: float, norm: float, spike: str | None, config: TrainingConfig) -> None:
    """Count a step that was applied, or skipped because it was a spike."""
    progress.step += 1
    progress.skipped_steps += spike is not None
    if config.skip_spikes:
        remember_step(progress.recent_steps, loss, norm)
    progress.loss_sum += loss
    progress.norm_max = max(progress.norm_max, norm)


def is_over(progress: Progress, steps: int) -> bool:
    """Whether no step is left to take."""
    return progress.step >= steps or progress.stopped_early


def is_evaluation_due(progress: Progress, config: LoopConfig, steps: int) -> bool:
    """Whether the step that was last applied is one to evaluate after, and was not yet."""
    evaluated = progress.rows[-1]["step"] if progress.rows else 0
    return progress.step > evaluated and (progress.step % config.eval_every_steps == 0 or progress.step == steps)


@torch.no_grad()
def measure(
    model: ModelT,
    evaluate: Callable[[ModelT], dict[str, float]],
    sample: Callable[[ModelT], list[dict[str, Any]]] | None,
    stop: StopRequest,
) -> tuple[dict[str, float], list[dict[str, Any]]] | None:
    """The validation metrics of a model, and samples of its text; None if a signal broke them off."""
    model.eval()
    metrics = stop.run(partial(evaluate, model), breaks_off=world_size() == 1)
    if metrics is None:
        return None
    samples = stop.run(partial(sample, model)) if sample and rank() == 0 else []
    return None if samples is None else (metrics, samples)


def record_evaluation(
    progress: Progress,
    model: nn.Module,
    metrics: dict[str, float],
    samples: list[dict[str, Any]],
    config: LoopConfig,
    steps: int,
    folder: Path,
) -> None:
    """Add a row with the mean training loss since the last one and the validation metrics, and the samples of text."""
    since = progress.step - (int(progress.rows[-1]["step"]) if progress.rows else 0)
    row = {"step": progress.step, "train_loss": progress.loss_sum / since, "max_grad_norm": progress.norm_max}
    row["learning_rate"] = learning_rate(progress.step - 1, steps, config)
    progress.rows.append(row | metrics)
    progress.samples += [{"step": progress.step, **entry} for entry in samples]
    progress.loss_sum = progress.norm_max = 0.0
    if progress.best_loss is None or metrics["val_loss"] < progress.best_loss:
        progress.best_loss, progress.best_step = metrics["val_loss"], progress.step
        if config.keep == "best":
            save_best(folder, model, progress.step)
    progress.stopped_early = progress.step < steps and has_stalled(progress, config.patience_evals)


def has_stalled(progress: Progress, patience_evals: int | None) -> bool:
    """Whether so many evaluations have passed since the best one."""
    since_best = sum(row["step"] > progress.best_step for row in progress.rows)
    return patience_evals is not None and since_best >= patience_evals
