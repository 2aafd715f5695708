"""The chat template of a model directory (Jinja, as `transformers` reads it): a conversation as text and as tokens."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from scratchlm.artifacts import read_json
from scratchlm.datasets.lookup_tokenizers import END_OF_TEXT
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError

TYPED_END_OF_TEXT = "\ufdd0"  # no character, reserved for such uses inside of a program

Message = Mapping[str, str]  # role: user or assistant; content


class ChatTemplate:
    """A compiled template, which may read the names of special tokens; it runs in Jinja's sandbox.

    `place` is where it stands, for messages.
    """

    def __init__(self, place: Path | str, source: str, special_tokens: Mapping[str, str]) -> None:
        self.place, self.source, self.special_tokens = place, source, special_tokens
        try:
            self.template = _compile(source)
        except TemplateError as error:
            raise UserError(f"{place}: the chat template is no Jinja that can be read: {error}.") from None

    def render(self, messages: Sequence[Message]) -> str:
        """The text of a conversation, up to where the assistant's next message begins."""
        try:
            return self.template.render(messages=messages, add_generation_prompt=True, **self.special_tokens)
        except (TemplateError, TypeError) as error:
            raise UserError(f"{self.place}: the chat template refuses this conversation: {error}.") from None

    def encode(self, messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
        """The tokens of `render`; an end of text is one token if the template wrote it, text if a message holds it."""
        typed = [
            {**message, "content": message["content"].replace(END_OF_TEXT, TYPED_END_OF_TEXT)} for message in messages
        ]
        first, *others = self.render(typed).split(END_OF_TEXT)
        tokens = tokenizer.encode(first.replace(TYPED_END_OF_TEXT, END_OF_TEXT))
        for piece in others:
            tokens += [tokenizer.eot_id, *tokenizer.encode(piece.replace(TYPED_END_OF_TEXT, END_OF_TEXT))]
        return tokens


def read_chat_template(directory: Path) -> ChatTemplate | None:
    """The template in chat_template.jinja, else in tokenizer_config.json; None if a directory has neither."""
    path = directory / "tokenizer_config.json"
    settings = read_json(path)
    source = settings.get("chat_template")
    if (file := directory / "chat_template.jinja").is_file():
        path, source = file, file.read_text(encoding="utf-8", errors="replace")
    if source is None:
        return None
    if not isinstance(source, str):
        raise UserError(f"{path}: chat_template is {json.dumps(source)[:40]}, but it should be a text.")
    return ChatTemplate(path, source, _special_tokens(settings))


def read_special_tokens(directory: Path) -> dict[str, str]:
    """What a template may name of the tokenizer of a model directory: bos_token and the like."""
    return _special_tokens(read_json(directory / "tokenizer_config.json"))


def _compile(source: str) -> Template:
    """As `transformers` compiles it, but for `{% generation %}`, which marks text for training."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _to_json(value: Any, indent: int | None = None) -> str:
    """JSON without Jinja's escapes for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """A file may have each as a text, or as an object with it."""
    tokens = {name: settings.get(name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    texts = {name: token["content"] if isinstance(token, dict) else token for name, token in tokens.items()}
    return {name: text for name, text in texts.items() if text is not None}
