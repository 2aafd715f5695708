"""A conversation with a model: what fits into its context, and the loop over messages in a terminal or on a pipe."""

import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress

from scratchlm.datasets.chat_templates import ChatTemplate
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.sampling import SamplingConfig, stream
from scratchlm.models.stop_strings import stream_text

HELP = "Type a message. /reset forgets the conversation, /quit or Ctrl-D ends it, Ctrl-C stops an answer."


class Conversation:
    """The turns so far, written in the model's own chat template; the context holds the latest ones."""

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        sampling: SamplingConfig,
        stop_strings: Sequence[str] = (),
    ) -> None:
        self.model, self.tokenizer, self.template = model, tokenizer, template
        self.sampling, self.stop_strings = sampling, stop_strings
        self.reset()

    def reset(self) -> None:
        """Forget every turn: what follows is what a new conversation would be."""
        self.messages: list[dict[str, str]] = []
        self.prompt: list[int] = []
        self.asked = 0

    def ask(self, message: str) -> int:
        """Add a message; return how many of the oldest turns were dropped to leave room for an answer.

        The room is `max_new_tokens`, at most half the context. UserError if the message alone fills the context.
        """
        context_length = self.model.config.context_length
        limit = context_length - min(self.sampling.max_new_tokens, context_length // 2)
        kept = [*self.messages, {"role": "user", "content": message}]
        dropped = 0
        while len(prompt := self.template.encode(kept, self.tokenizer)) > limit and len(kept) > 1:
            kept, dropped = kept[2:], dropped + 1
        if len(prompt) >= context_length:
            raise UserError(
                f"the message has {len(prompt):,} tokens in its template, the model's context_length of "
                f"{context_length:,} must also hold an answer; shorten the message."
            )
        self.messages, self.prompt, self.asked = kept, prompt, self.asked + 1
        return dropped

    def answer(self) -> Generator[str, None, None]:
        """The answer to the last message in pieces; as much of it as was given belongs to the conversation."""
        sampling = self.sampling.model_copy(update={"seed": self.sampling.seed + self.asked - 1})
        steps = stream(self.model, self.prompt, sampling, self.tokenizer.eot_id)
        given: list[str] = []
        try:
            for piece in stream_text(steps, self.tokenizer.decode, self.stop_strings):
                given.append(piece)
                yield piece
        finally:
            self.messages.append({"role": "assistant", "content": "".join(given)})


def converse(conversation: Conversation, messages: Iterable[str], in_terminal: bool) -> None:
    """Answer each message on stdout; in a terminal a mistake or Ctrl-C ends the turn, else the program."""
    for message in messages:
        command = message.strip()
        if command == "/quit":
            break
        if command == "/reset":
            conversation.reset()
            continue
        if not command:
            continue
        try:
            _take_turn(conversation, message)
        except UserError as error:
            if not in_terminal:
                raise
            _notice(str(error))
        except KeyboardInterrupt:
            if not in_terminal:
                raise
            print(flush=True)


def typed_messages() -> Iterator[str]:
    """What is typed at a prompt, a line each, until Ctrl-D."""
    with suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  # gives input() arrow keys and a history
    _notice(HELP)
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            _notice(HELP)


def _take_turn(conversation: Conversation, message: str) -> None:
    if dropped := conversation.ask(message):
        turns = "turn was" if dropped == 1 else f"{dropped} turns were"
        _notice(f"The oldest {turns} dropped: the context of the model is full.")
    with closing(conversation.answer()) as pieces:
        for piece in pieces:
            print(piece, end="", flush=True)
    print(flush=True)


def _notice(line: str) -> None:
    """A line that is no part of the conversation."""
    print(line, file=sys.stderr, flush=True)
