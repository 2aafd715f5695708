"""A model behind a server as judge, asked again about what cannot be read."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scratchlm.checksums import sha256_json
from scratchlm.errors import UserError
from scratchlm.judging.capabilities import PROBE_VERSION, Capabilities, probe
from scratchlm.judging.client import ChatClient, ChatReply, Form, Manner
from scratchlm.judging.config import AnthropicConfig, OpenAIConfig
from scratchlm.judging.grades import grade_probabilities
from scratchlm.judging.reply_form import (
    UnreadableReplyError,
    read_form,
    reply_request,
    reply_schema,
    reply_text,
    request_again,
)
from scratchlm.judging.rubric import Rubric
from scratchlm.judging.verdicts import Verdict, VerdictStore

RE_ASKS = 2
NOTHING = "(no text)"  # Anthropic takes no empty message

ServerSettings = OpenAIConfig | AnthropicConfig


class ServerJudge:
    """A model behind a server as judge; an unreadable reply is asked about twice more.

    Without a client it can say what it would ask, and ask nothing.
    """

    def __init__(
        self, config: ServerSettings, rubric: Rubric, capabilities: Capabilities, client: ChatClient | None = None
    ) -> None:
        if config.logprobs and rubric.maximum > 9:
            raise UserError(
                f"judge_responses.openai.logprobs needs grades of one digit, but {rubric.label} goes to "
                f"{rubric.maximum}; take rubrics/scale-4.yaml, or set logprobs to false."
            )
        if config.logprobs and client and not capabilities.logprobs:
            raise UserError(
                f"{config.base_url}, model {config.model} gives no probabilities, as its probe found; "
                "set judge_responses.openai.logprobs to false."
            )
        self.rubric = rubric
        self.reading = "expected" if config.logprobs else "reply"
        self.samples = config.samples
        self.skip_verbatim = config.skip_verbatim
        self.max_concurrency = config.max_concurrency
        self.capabilities = capabilities
        # The arguments of a tool come without probabilities.
        self._form = Form.TEXT if config.logprobs and capabilities.form is Form.TOOL else capabilities.form
        self._config = config
        self._client = client
        self._schema = reply_schema(rubric.maximum)
        self.identity: dict[str, Any] | None = {
            **_asked(config),
            "logprobs": config.logprobs,
            "form": self._form,
            "seed": capabilities.seed,
        }

    @property
    def probe_tokens(self) -> tuple[int, int]:
        """The tokens of the prompts and of the replies that the probe of the server cost."""
        return self.capabilities.prompt_tokens, self.capabilities.completion_tokens

    @property
    def paid(self) -> float:
        """US dollars that this process has paid, as far as the price is known."""
        return self._client.budget.paid if self._client else 0.0

    def prompt(self, item: Mapping[str, Any]) -> str:
        """The rubric's prompt, with the request for a reply in one of the forms that can be read."""
        return self.rubric.fill(item, reply_request(self.rubric.maximum))

    def ask(self, prompt: str, sample: int) -> Verdict:
        """The replies up to the first readable one; status `unparsed` if none is."""
        assert self._client is not None, "a judge without a client asks nothing"
        seed = sample if self.capabilities.seed else None
        manner = Manner(self._form, self._schema, self._config.temperature, seed, self._config.logprobs)
        messages = [{"role": "user", "content": prompt}]
        answered: list[ChatReply] = []
        replies, status = [], "unparsed"
        while status == "unparsed" and len(replies) <= RE_ASKS:
            answered.append(self._client.ask(messages, manner))
            replies.append(reply := self._keep(answered[-1]))
            try:
                self._check(reply)
                status = "ok"
            except UnreadableReplyError as error:
                messages += [
                    {"role": "assistant", "content": reply_text(reply).strip() or NOTHING},
                    {"role": "user", "content": request_again(error, self.rubric.maximum)},
                ]
        return Verdict(
            model=answered[-1].model or self._config.model,
            replies=replies,
            status=status,
            prompt_tokens=sum(reply.prompt_tokens for reply in answered),
            completion_tokens=sum(reply.completion_tokens for reply in answered),
            honoured=self.capabilities.honoured,
        )

    def _keep(self, reply: ChatReply) -> dict[str, Any]:
        kept: dict[str, Any] = {"content": reply.content, "tool": reply.tool, "refusal": reply.refusal}
        if self._config.logprobs:
            kept["probabilities"] = grade_probabilities(reply.tokens, self.rubric.maximum)
        return {name: value for name, value in kept.items() if value is not None}

    def _check(self, reply: Mapping[str, Any]) -> None:
        read_form(reply, self.rubric.maximum)
        if self._config.logprobs and "probabilities" not in reply:
            raise UnreadableReplyError("the server gave no probabilities of its grade")


def make_server_judge(config: ServerSettings, rubric: Rubric, store: VerdictStore) -> ServerJudge:
    """The judge, after what its server honours was looked up in the store, or asked and stored."""
    client = _make_client(config)
    capabilities = stored_capabilities(config, store)
    if capabilities is None:
        capabilities = probe(client)
        store.put_probe(_probe_key(config), asdict(capabilities))
    return ServerJudge(config, rubric, capabilities, client)


def stored_capabilities(config: ServerSettings, store: VerdictStore) -> Capabilities | None:
    """What was found of the model at its server before; None if it was never asked."""
    found = store.get_probe(_probe_key(config))
    return Capabilities(**found) if found else None


def _probe_key(config: ServerSettings) -> str:
    return sha256_json({"probe": PROBE_VERSION, **_asked(config)})


def _asked(config: ServerSettings) -> dict[str, Any]:
    """What every request to a server depends on."""
    settings = config.model_dump(include={"base_url", "model", "temperature", "max_tokens"})
    return {"backend": config.backend, **settings}


def _make_client(config: ServerSettings) -> ChatClient:
    """The client of the backend, for which alone its package is imported."""
    if isinstance(config, OpenAIConfig):
        from scratchlm.judging.openai_client import OpenAIClient

        return OpenAIClient(config)
    try:
        from scratchlm.judging.anthropic_client import AnthropicClient
    except ModuleNotFoundError as error:
        if error.name != "anthropic":
            raise
        raise UserError(
            'judge_responses.backend anthropic needs the package anthropic; run `pip install "scratchlm[anthropic]"`.'
        ) from None
    return AnthropicClient(config)
