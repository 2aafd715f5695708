"""A model behind an OpenAI-compatible endpoint as judge, asked again about what cannot be read."""

from typing import Any

from scratchlm.judging.client import ChatClient
from scratchlm.judging.config import ServerConfig
from scratchlm.judging.reply_form import REPLY_SCHEMA, UnreadableReplyError, read_form, request_again
from scratchlm.judging.rubric import POINTS
from scratchlm.judging.verdicts import Verdict

RE_ASKS = 2


class ServerJudge:
    """A model behind an OpenAI-compatible endpoint as judge; an unreadable reply is asked about twice more."""

    rubric = POINTS

    def __init__(self, config: ServerConfig) -> None:
        self.max_concurrency = config.max_concurrency
        self.identity: dict[str, Any] = {
            "backend": "openai",
            **config.model_dump(exclude={"max_attempts", "max_concurrency"}),
        }
        self._client = ChatClient(config, REPLY_SCHEMA)

    def ask(self, prompt: str) -> Verdict:
        """The replies up to the first readable one; status `unparsed` if none is."""
        messages = [{"role": "user", "content": prompt}]
        replies, status = [], "unparsed"
        while status == "unparsed" and len(replies) <= RE_ASKS:
            replies.append(reply := self._client.ask(messages))
            try:
                read_form(reply.text)
                status = "ok"
            except UnreadableReplyError as error:
                messages += [
                    {"role": "assistant", "content": reply.text},
                    {"role": "user", "content": request_again(error)},
                ]
        return Verdict(
            rubric=self.rubric.version,
            model=replies[-1].model or self.identity["model"],
            replies=[reply.text for reply in replies],
            status=status,
            prompt_tokens=sum(reply.usage.prompt_tokens for reply in replies if reply.usage),
            completion_tokens=sum(reply.usage.completion_tokens for reply in replies if reply.usage),
        )
