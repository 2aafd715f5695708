"""The parameters of a judge: which one reads the answers, and how a server is asked."""

from typing import Literal

from pydantic import Field

from scratchlm.params import Schema


class ClientConfig(Schema):
    """A model at an OpenAI-compatible endpoint, and how it is asked."""

    base_url: str = Field(pattern=r"^https?://[^@]+$")
    model: str = Field(min_length=1)
    temperature: float | None = Field(ge=0)
    max_tokens: int = Field(gt=0)
    max_attempts: int = Field(gt=0)


class ServerConfig(ClientConfig):
    """A server as judge."""

    max_concurrency: int = Field(gt=0)


class JudgeConfig(Schema):
    """Which judge reads the answers: a model directory, or a server; the settings of the other one are not used."""

    backend: Literal["local", "openai"]
    model: str = Field(min_length=1)
    openai: ServerConfig
