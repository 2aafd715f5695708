"""The parameters of a judge: which one reads the answers, by which rubric, and how a server is asked."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from scratchlm.params import Schema


class PriceConfig(Schema):
    """US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ServerConfig(Schema):
    """A model behind a server, how it is asked, and what it may cost."""

    backend: ClassVar[str]
    base_url: str = Field(pattern=r"^https?://[^@?#\s]+$")
    model: str = Field(min_length=1)
    temperature: float | None = Field(ge=0)
    max_tokens: int = Field(gt=0)
    max_attempts: int = Field(gt=0)
    max_concurrency: int = Field(gt=0)
    samples: int = Field(gt=0)
    skip_verbatim: bool
    prices: PriceConfig | None
    max_cost: float | None = Field(ge=0)

    @model_validator(mode="after")
    def _check_samples(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("has samples above 1 at temperature 0, where all are alike; raise temperature")
        return self


class OpenAIConfig(ServerConfig):
    """An OpenAI-compatible server; `logprobs` takes the expected score over the probabilities of the digits."""

    backend: ClassVar[str] = "openai"
    logprobs: bool


class AnthropicConfig(ServerConfig):
    """Anthropic's Messages API, which gives no probabilities."""

    backend: ClassVar[str] = "anthropic"
    logprobs: ClassVar[bool] = False


class JudgeConfig(Schema):
    """Which judge reads the answers: a model directory, or a server; the settings of the others are not used."""

    backend: Literal["local", "openai", "anthropic"]
    model: str = Field(min_length=1)
    rubric: str = Field(min_length=1)
    openai: OpenAIConfig
    anthropic: AnthropicConfig

    @property
    def server(self) -> OpenAIConfig | AnthropicConfig | None:
        """The settings of the server that judges; None for a local model."""
        return {"openai": self.openai, "anthropic": self.anthropic}.get(self.backend)
