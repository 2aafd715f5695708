"""Chat templates: the text and the tokens that `transformers` makes of the same directory."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from scratchlm.datasets.chat_templates import read_chat_template
from scratchlm.datasets.prompts import TEMPLATES as PROMPTS
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import write_byte_tokenizer

MESSAGES = [
    {"role": "user", "content": "Name a colour.\n"},
    {"role": "assistant", "content": "Blue <3 {{ 7 * 7 }}"},
    {"role": "user", "content": "Is <|endoftext|> a colour, é?"},
]
CHATML = """{% for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{% endif %}
"""
TEMPLATES = {
    **PROMPTS,
    "chatml": CHATML,
    "special tokens": "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
    "written end": "<|endoftext|>{{ messages[0].content }}<|endoftext|>",
}


def directory(folder: Path, template: str | None, as_file: bool = False) -> Path:
    """A tokenizer directory with a chat template in its configuration, or in a file of its own."""
    write_byte_tokenizer(folder)
    path = folder / "tokenizer_config.json"
    if as_file and template is not None:
        (folder / "chat_template.jinja").write_text(template)
        template = "not this one"
    if template is not None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    return folder


@pytest.mark.parametrize("as_file", [False, True], ids=["configuration", "file"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_text_and_tokens_are_those_of_transformers(tmp_path: Path, template: str, as_file: bool):
    folder = directory(tmp_path / "model", template, as_file)
    ours, reference = read_chat_template(folder), AutoTokenizer.from_pretrained(folder)
    assert ours is not None
    for messages in (MESSAGES[:1], MESSAGES):
        prompt = {"conversation": messages, "add_generation_prompt": True}
        assert ours.render(messages) == reference.apply_chat_template(**prompt, tokenize=False)
        expected = reference.apply_chat_template(**prompt, return_dict=False, sanitize_control_tokens=True)
        assert ours.encode(messages, load_tokenizer(folder)) == expected


def test_a_directory_without_a_template_has_none(tmp_path: Path):
    assert read_chat_template(directory(tmp_path / "model", None)) is None


@pytest.mark.parametrize(
    ("template", "message"),
    {
        "{% for %}": "is no Jinja that can be read",
        "{{ raise_exception('no tools') }}": "refuses this conversation: no tools",
        "{{ messages + 1 }}": "refuses this conversation",
        "{{ ''.__class__.__mro__ }}": "refuses this conversation: access to attribute '__class__'",
        "{{ messages.append(1) }}": "refuses this conversation: access to attribute 'append'",
    }.items(),
)
def test_a_template_that_fails_or_reaches_out_is_one_line(tmp_path: Path, template: str, message: str):
    folder = directory(tmp_path / "model", template)
    with pytest.raises(UserError, match=f"tokenizer_config.json: the chat template {message}") as error:
        read_chat_template(folder).render(MESSAGES)  # pyright: ignore[reportOptionalMemberAccess]
    assert "\n" not in str(error.value)


def test_a_template_that_is_no_text_is_refused(tmp_path: Path):
    folder = directory(tmp_path / "model", None)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": {"default": "x"}}))
    with pytest.raises(UserError, match="it should be a text"):
        read_chat_template(folder)
