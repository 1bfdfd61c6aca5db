"""An identity provider that sends security event tokens to a replica of the API, and an agent that acts for its users."""

import time
import uuid
from typing import Any

import httpx

from rolevend.api.signals.records import name_of
from rolevend.model import User
from testbed.installation import ApiProcess
from tests.support import tokens
from tests.support.calling import Caller, send
from tests.support.proving import Proven
from tests.support.site import Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
MEDIA_TYPE = "application/secevent+jwt"


def event_claims(
    event: str, issuer: str, audience: str, subject: str = "anna", *, at: int, payload: Body | None = None, **changed: Any
) -> Body:
    """`subject` is in `sub_id`, unless another one is given."""
    return {
        "iss": issuer,
        "aud": audience,
        "iat": at,
        "jti": str(uuid.uuid4()),
        "sub_id": {"format": "iss_sub", "iss": issuer, "sub": subject},
        "events": {event: payload or {}},
        **changed,
    }


class Transmitter:
    """Use after `ready`."""

    def __init__(self, tenant: Tenant, api: ApiProcess) -> None:
        self.tenant, self.api, self.site = tenant, api, tenant.site
        self.proven = Proven(tenant)
        self.caller = Caller(self.proven, api)
        self.issuer = self.proven.issuer
        self.audience = f"{self.issuer}/stream"

    def ready(self, **signals: Any) -> "Transmitter":
        provider = self.proven.provider(signals={"audience": self.audience, **signals})
        self.site.told(provider, "ReceivesSignals", "True", "Valid")
        self.site.told(provider, "Ready", "True", "KeysRead")
        self.site.told(self.proven.agent(), "Ready", "True")
        self.site.told(self.tenant.policy(), "Ready", "True")
        eventually(lambda: self.send(self.token(f"{SSF}verification")).status_code == 202)
        return self

    def claims(self, event: str, subject: str = "anna", *, payload: Body | None = None, **changed: Any) -> Body:
        at = changed.pop("at", int(time.time()))
        return event_claims(event, self.issuer, self.audience, subject, at=at, payload=payload, **changed)

    def token(self, event: str, subject: str = "anna", **changed: Any) -> str:
        return tokens.token(self.claims(event, subject, **changed), tokens.header(typ="secevent+jwt"))

    def send(self, token: str | bytes, media_type: str = MEDIA_TYPE) -> httpx.Response:
        return send("POST", f"{self.api.url}/ssf/v1/events", content=token, headers={"Content-Type": media_type})

    def sent(self, event: str, subject: str = "anna", **changed: Any) -> str:
        """Send a token that is taken, and return it."""
        token = self.token(event, subject, **changed)
        self.taken(self.send(token))
        return token

    @staticmethod
    def taken(answer: httpx.Response) -> None:
        assert (answer.status_code, answer.content) == (202, b""), answer.text

    def kept(self, subject: str = "anna") -> Body | None:
        """The object of the user, or None if there is none."""
        name = name_of(User(self.issuer, subject))
        answer = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/userattributes/{name}")
        return None if answer.status == 404 else answer.body

    def spec(self, subject: str = "anna") -> Body:
        kept = self.kept(subject)
        assert kept is not None
        return dict(kept["spec"])
