"""How a model is asked for the response to an entry: by its chat template, in training, generation and elsewhere."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from scratchlm.datasets.chat_templates import ChatTemplate, Message, read_chat_template, read_special_tokens
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError

HEADER = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
INSTRUCTION, INPUT = "### Instruction:\n", "### Input:\n"

# The book's two prompts, as Jinja. Phi-3 itself writes `<|end|>` after a message, for which GPT-2 has no token.
TEMPLATES = {
    "alpaca": (
        "{{ '" + HEADER + "' }}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{ '\\n\\n### Instruction:\\n' + message['content'] }}"
        "{% elif message['role'] == 'assistant' %}{{ '\\n\\n### Response:\\n' + message['content'] }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}"
    ),
    "phi3": (
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
    ),
}
PROBE = {"instruction": "Name it.", "input": "A cat"}


def _check_prompt(prompt: str) -> str:
    if prompt not in TEMPLATES and "{{" not in prompt and "{%" not in prompt:
        raise ValueError(f"should be {', '.join(TEMPLATES)} or a chat template in Jinja, which has {{{{ or {{% in it")
    if "strftime_now" in prompt:
        raise ValueError("should not name strftime_now: the model would depend on the day of its training")
    return prompt


Prompt = Annotated[str, AfterValidator(_check_prompt)]


def choose_prompt(prompt: str, directory: Path) -> ChatTemplate:
    """The template that a parameter names or holds, for the special tokens of a model directory.

    UserError if what it renders does not hold the instruction that is asked.
    """
    template = ChatTemplate("the parameter `prompt`", TEMPLATES.get(prompt, prompt), read_special_tokens(directory))
    if any(text not in format_prompt(PROBE, template) for text in PROBE.values()):
        raise UserError(
            f"{template.place}: the chat template leaves out what a user asks; let it write "
            "message['content'] of each of `messages`."
        )
    return template


def read_prompt(directory: Path) -> ChatTemplate:
    """The template of a model directory; Alpaca's for a model that has none, as it is no one's training prompt yet."""
    return read_chat_template(directory) or alpaca()


@cache
def alpaca() -> ChatTemplate:
    """The template of the book, which reads no special token."""
    return ChatTemplate("alpaca", TEMPLATES["alpaca"], {})


def format_prompt(entry: Mapping[str, str], template: ChatTemplate | None = None) -> str:
    """The text up to where the response to an entry begins, in Alpaca's template if none is given."""
    template = template or alpaca()
    return template.render(_ask(entry, template))


def encode_prompt(entry: Mapping[str, str], template: ChatTemplate, tokenizer: Tokenizer) -> list[int]:
    """The tokens of `format_prompt`: those of training, of generation, and of apply_chat_template in `transformers`."""
    return template.encode(_ask(entry, template), tokenizer)


def _ask(entry: Mapping[str, str], template: ChatTemplate) -> list[Message]:
    """One message of a user: the instruction, then its input if any.

    The input stands under a heading of its own where the template has Alpaca's headings, else on the next line.
    """
    content = entry["instruction"]
    if entry["input"]:
        has_headings = INSTRUCTION.strip() in template.source
        content += ("\n\n" + INPUT if has_headings else "\n") + entry["input"]
    return [{"role": "user", "content": content}]
