"""The state of a training in its work folder: whole checkpoints only, and the newest that verifies is loaded."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import Optimizer

from scratchlm.artifacts import atomic_directory, partial_path, read_json, write_json
from scratchlm.checksums import verify_manifest, write_manifest
from scratchlm.errors import UserError
from scratchlm.models.tensor_file import save_tensors
from scratchlm.training.ranks import barrier, from_first_rank, rank
from scratchlm.training.sharded_state import is_sharded, load_shards, save_shards

KEPT = 2
ASIDE = "damaged-"  # before the name of a checkpoint that does not verify
NOTHING = -1  # the step of no checkpoint


@dataclass
class Progress:
    """How far a training is and what it recorded; everything else is a pure function of the step."""

    step: int = 0
    loss_sum: float = 0.0  # of the steps since the last evaluation
    norm_max: float = 0.0
    best_loss: float | None = None
    best_step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    stopped_early: bool = False  # because validation no longer improved
    recent_steps: list[list[float]] = field(default_factory=list)  # loss and norm, to tell spikes from other steps
    skipped_steps: int = 0  # that were spikes
    other_code: bool = False  # whether a part of it ran with other code

    def summary(self) -> dict[str, float]:
        """The metrics of every training: where it ended and where validation was best."""
        return {
            "steps": self.step,
            "stopped_early": self.stopped_early,
            "skipped_steps": self.skipped_steps,
            "train_loss": self.rows[-1]["train_loss"],
            "best_val_loss": self.best_loss if self.best_loss is not None else self.rows[-1]["val_loss"],
            "best_step": self.best_step,
            "resumed_with_other_code": self.other_code,
        }


def save_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Write step-NNNNNNNN/ whole, then remove all but the last two, and best weights that neither of these names.

    Each process writes what it holds in shards; the first writes all else, and renames when all have written.
    """
    with _shared_directory(folder / f"step-{progress.step:08d}") as partial:
        if is_sharded(model):
            weights = {name: parameter.detach() for name, parameter in _trainable(model).items()}
            save_shards(partial, weights | _optimizer_tensors(optimizer))
        elif rank() == 0:
            save_weights(partial / "model.safetensors", model)
            state = {name: tensor.cpu() for name, tensor in _optimizer_tensors(optimizer).items()}
            save_tensors(state, partial / "optimizer.safetensors")
        if rank() == 0:
            write_json(partial / "progress.json", asdict(progress))
            write_manifest(partial)
    if rank() == 0:
        _remove_old(folder)


@contextmanager
def _shared_directory(path: Path) -> Iterator[Path]:
    """`atomic_directory` of the first process, in which the others write too; at the end it is there for all."""
    with atomic_directory(path) if rank() == 0 else nullcontext(partial_path(path)) as partial:
        barrier()
        yield partial
    barrier()


def _remove_old(folder: Path) -> None:
    kept = _checkpoints(folder)[:KEPT]
    named = {_best_folder(folder, read_json(checkpoint / "progress.json")["best_step"]) for checkpoint in kept}
    for old in {*_checkpoints(folder), *folder.glob("best-*")} - {*kept, *named}:
        shutil.rmtree(old)


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, keep_best: bool) -> Progress:
    """Restore the newest checkpoint that verifies into model and optimizer; a fresh Progress if there is none.

    With `keep_best`, the best weights that it names have to verify too. One written by other numbers of processes,
    whole or in shards, serves as well.
    """
    step = from_first_rank(_newest_whole(folder, keep_best) if rank() == 0 else NOTHING)
    if step == NOTHING:
        return Progress()
    checkpoint = folder / f"step-{step:08d}"
    if not checkpoint.exists():
        raise UserError(f"{checkpoint} is not on this machine; .work has to be on a disk that all machines share.")
    if is_sharded(model) or not (checkpoint / "model.safetensors").exists():
        _restore_optimizer(optimizer, load_shards(checkpoint, _trainable(model), optimizer))
    else:
        load_weights(checkpoint / "model.safetensors", model)
        _restore_optimizer(optimizer, load_file(checkpoint / "optimizer.safetensors"))
    return Progress(**read_json(checkpoint / "progress.json"))


def _newest_whole(folder: Path, keep_best: bool) -> int:
    """The step of the newest checkpoint that verifies, or NOTHING."""
    for checkpoint in _checkpoints(folder):
        try:
            verify_manifest(checkpoint)
            progress = Progress(**read_json(checkpoint / "progress.json"))
            if keep_best and progress.best_step:
                verify_manifest(_best_folder(folder, progress.best_step))
        except UserError as error:
            print(f"skipping a damaged checkpoint: {error}", file=sys.stderr)
            _set_aside(checkpoint)
            continue
        return progress.step
    return NOTHING


def save_best(folder: Path, model: nn.Module, step: int) -> None:
    """Keep the weights of this step, the lowest validation loss so far, beside the checkpoints."""
    if rank():
        return
    with atomic_directory(_best_folder(folder, step)) as partial:
        save_weights(partial / "model.safetensors", model)
        write_manifest(partial)


def load_best(folder: Path, model: nn.Module, step: int) -> None:
    """Restore the weights that `save_best` kept at this step."""
    load_weights(_best_folder(folder, step) / "model.safetensors", model)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the parameters that train to a safetensors file."""
    save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in _trainable(model).items()}, path)


@torch.no_grad()
def load_weights(path: Path, model: nn.Module) -> None:
    """Copy a safetensors file of the parameters that train into the model."""
    saved, parameters = load_file(path), _trainable(model)
    assert saved.keys() == parameters.keys()
    for name, tensor in saved.items():
        parameters[name].copy_(tensor)


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _set_aside(checkpoint: Path) -> None:
    """Take a checkpoint that does not verify out of the way: it is neither kept nor counted any more."""
    aside = checkpoint.with_name(f"{ASIDE}{checkpoint.name}")
    shutil.rmtree(aside, ignore_errors=True)
    checkpoint.rename(aside)


def _best_folder(folder: Path, step: int) -> Path:
    return folder / f"best-{step:08d}"


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, values in state.items() for name, tensor in values.items()}


def _restore_optimizer(optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
