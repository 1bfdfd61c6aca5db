"""How one operator process runs: from the environment (`ROLEVEND_…`), each value with a default that suits production."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rolevend.errors import InvalidInput

PREFIX = "ROLEVEND_"


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = Field("rolevend-system", min_length=1, description="The operator's own namespace: platform Secrets live here.")
    kubeconfig: str | None = Field(None, description="A kubeconfig file; without one the pod's ServiceAccount is used.")
    pod_name: str = Field(
        "", description="A container that starts again in the same pod leads on at once. Empty: no process is taken for the one before it."
    )
    leadership_seconds: int = Field(
        15, ge=3, le=600, description="How long a leader that is silent keeps its place; it stops by itself after two thirds of that."
    )
    request_seconds: float = Field(15, gt=0, description="How long one call to the Kubernetes API may take.")
    handle_key_secret: str = Field("rolevend-handle-key", description="Secret with the key of opaque user handles; made if it is missing.")
    unknown_users_per_agent: int = Field(
        1000,
        ge=0,
        le=1_000_000,
        description="For how many users that neither a token nor UserAttributes vouch for an Agent may ever have roles. Each leaves a"
        " record of its handle, which is never deleted.",
    )
    probe_host: str = Field("0.0.0.0", description="Where probes and metrics listen.")  # noqa: S104 - kubelet comes from outside the pod
    probe_port: int = Field(8080, ge=0, le=65535, description="0: any free port.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    audit_file: Path | None = Field(None, description="A file that audit events are appended to; without one they go to standard output.")
    audit_key_file: Path | None = Field(None, description="A file with the key that audit events are sealed with; read once, at the start.")
    receipt_key_file: Path | None = Field(
        None, description="A file with the private key that receipts are signed with; read once, at the start. Without one there are none."
    )
    platform_poll_seconds: float = Field(15, gt=0, description="How often each platform is asked for its catalog and for drift.")
    attest_seconds: float = Field(86400, gt=0, description="How often each platform is attested by canary roles.")
    attest_retry_seconds: float = Field(60, gt=0, description="How soon again where a check failed, or could not be carried out.")
    platform_retry_seconds: float = Field(2, gt=0, description="How soon a platform that does not answer is asked again.")
    sweep_seconds: float = Field(60, gt=0, description="How often objects and roles are held against each other.")
    curb_seconds: float = Field(5, gt=0, le=30, description="How often sessions are held to the limits of their roles, and to their time.")
    orphan_grace_seconds: float = Field(60, ge=0, description="How long a role may be unclaimed before it is dropped.")
    unanswered_seconds: float = Field(
        10,
        gt=0,
        le=60,
        description="How old a role of the API may get that is not Ready: its call has given up a moment before, and it ends.",
    )
    deaf_after_seconds: float = Field(60, gt=0, description="How old an object may be that the watch never told of.")
    profile_unused_seconds: float = Field(3600, ge=0, description="How long a profile that no role uses is kept warm.")
    platform_workers: int = Field(
        4,
        ge=1,
        le=32,
        description="Profiles that are vended at once on one platform: so many connections and threads. On Snowflake 16 roles are.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Unknown `ROLEVEND_` names are ignored, since other parts have theirs; a bad value is an error that names it."""
        values = {name: environment[PREFIX + name.upper()] for name in cls.model_fields if PREFIX + name.upper() in environment}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidInput(PREFIX + str(first["loc"][0]).upper(), first["msg"].lower()) from error


class ApiSettings(Settings):
    """How one process of the API runs: what it shares with the operator, and where it takes calls."""

    api_host: str = Field("0.0.0.0", description="Where calls are taken.")  # noqa: S104 - they come from outside the pod
    api_port: int = Field(8443, ge=0, le=65535, description="0: any free port.")
    api_tls_cert_file: Path | None = Field(None, description="The certificate, in PEM. Without it calls are taken over plain HTTP.")
    api_tls_key_file: Path | None = Field(None, description="Its key, in PEM.")
    api_max_header_bytes: int = Field(
        32_768, ge=8192, le=1_048_576, description="How long the request line and headers of a call may be, together."
    )
    api_read_seconds: float = Field(
        10,
        gt=0,
        le=600,
        description="The connection ends where the client has not sent a whole request, or not read an answer, in so long.",
    )
    api_max_connections_without_token: int = Field(
        256,
        ge=8,
        le=65_536,
        description="Of one process. One more ends the oldest that waits for its client; where none does, it is not accepted.",
    )
