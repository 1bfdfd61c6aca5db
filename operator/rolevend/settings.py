"""The configuration of one process, from the environment (`ROLEVEND_…`). Each default suits production."""

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
        "", description="A restarted container of the same pod takes over its lease at once. Empty: it waits for the lease."
    )
    leadership_seconds: int = Field(
        15, ge=3, le=600, description="Lease duration. A leader that cannot renew steps down after two thirds of it."
    )
    request_seconds: float = Field(15, gt=0, description="Timeout of one call to the Kubernetes API.")
    handle_key_secret: str = Field("rolevend-handle-key", description="Secret with the key of opaque user handles; created if missing.")
    unknown_users_per_agent: int = Field(
        1000,
        ge=0,
        le=1_000_000,
        description="Maximum number of users that an Agent may ever name without a token or UserAttributes. Each leaves a"
        " record of its handle, which is never deleted.",
    )
    probe_host: str = Field("0.0.0.0", description="Address on which probes and metrics listen.")  # noqa: S104 - kubelet comes from outside the pod
    probe_port: int = Field(8080, ge=0, le=65535, description="0: any free port.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    audit_file: Path | None = Field(None, description="A file that audit events are appended to; without one they go to standard output.")
    audit_key_file: Path | None = Field(None, description="A file with the key of the audit events' hash chain; read once, at the start.")
    receipt_key_file: Path | None = Field(
        None, description="A file with the private key that receipts are signed with; read once, at the start. Without one there are none."
    )
    notifications_folder: Path | None = Field(
        None,
        description="A folder with receivers.yaml and the files of each receiver, which is notified of AccessRequests. Without a folder"
        " there are no receivers.",
    )
    notification_attempts: int = Field(
        10, ge=1, le=50, description="Maximum number of calls of a receiver about one AccessRequest, until it is given up."
    )
    notification_retry_seconds: float = Field(
        2, gt=0, le=300, description="Pause after the first failed call of a receiver; it doubles with each call, up to five minutes."
    )
    platform_poll_seconds: float = Field(15, gt=0, description="Interval between polls of a platform for its catalog and for drift.")
    attest_seconds: float = Field(86400, gt=0, description="Interval between attestations of a platform by canary roles.")
    attest_retry_seconds: float = Field(60, gt=0, description="Interval after a failed or incomplete attestation.")
    platform_retry_seconds: float = Field(2, gt=0, description="Pause before a retry of a platform that does not answer.")
    sweep_seconds: float = Field(60, gt=0, description="Interval between comparisons of objects with roles.")
    curb_seconds: float = Field(5, gt=0, le=30, description="Interval between checks of sessions against limits and expiry.")
    orphan_grace_seconds: float = Field(60, ge=0, description="Seconds until a role without an object is dropped.")
    unanswered_seconds: float = Field(
        10,
        gt=0,
        le=60,
        description="Maximum age of a role of the API that is not Ready, before the operator ends it. Its call times out earlier.",
    )
    record_seconds: float = Field(0.5, gt=0, le=10, description="Interval between reads of the roles that databases record.")
    projections_per_second: float = Field(
        10,
        ge=0,
        le=1000,
        description="Maximum rate of VendedRoles that show roles which a database records. 0: none is shown.",
    )
    deaf_after_seconds: float = Field(60, gt=0, description="Seconds without an event of an existing object until the watch is stale.")
    profile_unused_seconds: float = Field(3600, ge=0, description="Seconds until an unused profile is deleted.")
    access_request_kept_seconds: float = Field(
        2_592_000,
        gt=0,
        description="Seconds that an AccessRequest is kept after its end, with the votes on it; longer while a limit, a cool-down or a"
        " precedent counts it. Each namespace keeps 10,000: beyond, those that ended first are deleted earlier.",
    )
    platform_workers: int = Field(
        4,
        ge=1,
        le=32,
        description="Maximum concurrent vends on one PostgreSQL database: the number of connections and threads. Snowflake has 16.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Unknown `ROLEVEND_` names are ignored, because other processes use them; an invalid value is an error that names the variable."""
        values = {name: environment[PREFIX + name.upper()] for name in cls.model_fields if PREFIX + name.upper() in environment}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidInput(PREFIX + str(first["loc"][0]).upper(), first["msg"].lower()) from error


class ApiSettings(Settings):
    """The configuration of one process of the API: the settings that it shares with the operator, and its addresses."""

    api_host: str = Field("0.0.0.0", description="Address on which the API listens.")  # noqa: S104 - they come from outside the pod
    api_port: int = Field(8443, ge=0, le=65535, description="0: any free port.")
    api_tls_cert_file: Path | None = Field(None, description="The certificate, in PEM. Without it the API listens on plain HTTP.")
    api_tls_key_file: Path | None = Field(None, description="Its key, in PEM.")
    api_max_header_bytes: int = Field(
        32_768, ge=8192, le=1_048_576, description="Maximum bytes of the request line and headers of a call, together."
    )
    api_record: str = Field(
        "Database",
        pattern="^(Database|Kubernetes)$",
        description="Where roles are recorded while a DataPlatform is the ledger. Kubernetes: each is a VendedRole. Used tokens stay in the"
        " ledger.",
    )
    api_scim: bool = Field(
        False, description="Accept users and groups by SCIM from each IdentityProvider with `spec.scim`, under `/scim/v2`."
    )
    api_signals: bool = Field(
        False,
        description="Accept security event tokens (Shared Signals, CAEP, RISC) from each IdentityProvider with `spec.signals`, at"
        " `/ssf/v1/events`.",
    )
    api_unreachable_cluster_seconds: float = Field(
        0,
        ge=0,
        le=3600,
        description="For how long roles that a database records are vended while the Kubernetes API does not answer. Three seconds are"
        " always allowed.",
    )
    api_read_seconds: float = Field(
        10,
        gt=0,
        le=600,
        description="Timeout for the client to send a whole request, and to read an answer.",
    )
    api_max_connections_without_token: int = Field(
        256,
        ge=8,
        le=65_536,
        description="Maximum of one process. One more closes the oldest that waits for its client; if none waits, it is not accepted.",
    )


class ConsoleSettings(Settings):
    """The configuration of one process of the console."""

    console_host: str = Field("0.0.0.0", description="Address on which the console listens.")  # noqa: S104 - as of the API
    console_port: int = Field(8443, ge=0, le=65535, description="0: any free port.")
    console_tls_cert_file: Path | None = Field(None, description="The certificate, in PEM. Without it the console listens on plain HTTP.")
    console_tls_key_file: Path | None = Field(None, description="Its key, in PEM.")
    console_trusted_proxies: str = Field(
        "",
        max_length=2000,
        description="Networks of the proxies before the console, separated by commas. From one of them `X-Forwarded-For` is read, and its"
        " right-most address in none of them is the client's. Without networks the header is ignored.",
    )
    console_url: str = Field(
        "",
        pattern=r"^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?)?$",
        description="The address of the console in browsers, without a path. People log in there, and their identity provider sends them"
        " back to `/callback`.",
    )
    console_identity_provider: str = Field("", description="Name of the IdentityProvider at which people log in.")
    console_client_id: str = Field("", description="The console's client at this provider.")
    console_client_secret_file: Path | None = Field(None, description="A file with the client's secret. Without one: a public client.")
    console_user_claim: str = Field("sub", min_length=1, description="The claim of the ID token with the person's name in Kubernetes.")
    console_user_prefix: str = Field("", description="Put in front of this name, as `--oidc-username-prefix` of the API server does.")
    console_groups_claim: str = Field("groups", min_length=1, description="The claim with the person's groups: a text, or a list of texts.")
    console_groups_prefix: str = Field("", description="Put in front of each group, as `--oidc-groups-prefix` of the API server does.")
    console_groups: str = Field(
        "",
        max_length=65_536,
        description="The groups in Kubernetes, with their prefix, that the console knows, separated by commas. Others in the token are"
        " ignored.",
    )
    console_key_file: Path | None = Field(
        None, description="A file with at least 32 random bytes, the same for all replicas. Sessions and logins are sealed with it."
    )
    console_idle_seconds: int = Field(1800, ge=60, le=86_400, description="A session ends so long after its last page.")
    console_session_seconds: int = Field(28_800, ge=60, le=86_400, description="A session ends so long after its login.")
    console_impersonation: bool = Field(
        False,
        description="Let people vote, end roles and ask who can read: the console sends these calls with the person's rights, by"
        " impersonation. Without it the console only shows.",
    )
    console_audit_files: str = Field(
        "",
        description="Files of audit events, and folders of them, separated by commas: the trail shows events of agents to people who may"
        " `get` `vendedroles/trail` in their namespaces. Without one it shows what the cluster knows.",
    )
    console_ledger_files: str = Field(
        "", description="Files that `rolevend ledger` writes, and folders of them, separated by commas: the trail shows the statements."
    )
    console_receipt_keys_file: Path | None = Field(
        None, description="The key set that `rolevend receipt keys` prints. Receipts are verified with it; read once, at the start."
    )
    console_rows_api_url: str = Field(
        "",
        pattern=r"^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?)?$",
        description="The address of the HTTP API, without a path: the page of a request shows its approver rows that the approver may read,"
        " through a role of the approver's own. Empty: it does not.",
    )
    console_rows_api_ca_file: Path | None = Field(
        None, description="The authority of the API's certificate, in PEM. Without it: those of the system."
    )
    console_rows_client_id: str = Field(
        "",
        description="The client at the identity provider that is the Agent of these roles. It is another one than the console's, with the"
        " redirect URI `/rows/callback`.",
    )
    console_rows_client_secret_file: Path | None = Field(None, description="A file with its secret, which it needs.")
    console_rows_scope: str = Field(
        "",
        max_length=500,
        pattern=r"^[!-~ ]*$",
        description="The scopes for tokens that the API accepts, in addition to `openid` for a login, if the provider needs them.",
    )
    console_rows_audience: str = Field(
        "", max_length=500, description="The parameter `audience` for such tokens, if the provider needs it."
    )
