"""What a training prints while it runs, and its throughput."""

import sys
import time

from tqdm import tqdm

from scratchlm.training.ranks import rank


class SpeedMeter:
    """A progress bar on a terminal, plain lines elsewhere, and the throughput of this run."""

    def __init__(self, step: int, steps: int) -> None:
        disable = True if rank() else None  # None: where stderr is no terminal
        self.bar = tqdm(total=steps, initial=step, unit="step", disable=disable, file=sys.stderr)
        self.first_step, self.step, self.steps, self.tokens = step, step, steps, 0
        self.start = time.perf_counter()

    def __enter__(self) -> "SpeedMeter":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self, loss: float, tokens: int, spike: str | None) -> None:
        """Count one step; one that was skipped is a line."""
        if spike:
            self.say(f"step {self.step}: {spike}; the step was skipped.")
        self.step += 1
        self.tokens += tokens
        self.bar.set_postfix_str(f"loss {loss:.3f}, {self.tokens_per_second():,.0f} tokens/s", refresh=False)
        self.bar.update()

    def report(self, row: dict[str, float]) -> None:
        """Print one line for an evaluation, below which the bar goes on."""
        left = (self.steps - self.step) * self.seconds() / max(1, self.step - self.first_step)
        self.say(
            f"step {self.step}/{self.steps}: train loss {row['train_loss']:.4f}, val loss {row['val_loss']:.4f}, "
            f"{self.tokens_per_second():,.0f} tokens/s, {left:,.0f} s left"
        )

    def say(self, line: str) -> None:
        """Print a line above the bar, in one process of several."""
        if rank() == 0:
            self.bar.write(line, file=sys.stderr)

    def seconds(self) -> float:
        """Seconds since this run of the training began, evaluations included."""
        return time.perf_counter() - self.start

    def tokens_per_second(self) -> float:
        """Tokens read a second, padding included."""
        return self.tokens / max(self.seconds(), 1e-9)

    def facts(self) -> dict[str, float]:
        """What goes to metrics/runs/."""
        steps = self.step - self.first_step
        return {"steps_run": steps, "training_seconds": self.seconds(), "tokens_per_second": self.tokens_per_second()}
