"""One test's own agent, people, policies and vended roles on the shared site, under names that no other test has."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from rolevend.kinds import API_VERSION
from testbed.brief import in_time
from tests.support.governed import SCHEMA, Governed
from tests.support.site import AGENTS, DOMAIN, WAREHOUSE, Body, Site
from tests.support.waiting import DEADLINE, eventually

ISSUER = "https://idp.example.org"

Answer = TypeVar("Answer")

_numbers = itertools.count(1)


class Asked:
    """A VendedRole that a test made."""

    def __init__(self, site: Site, body: Body) -> None:
        self.site = site
        self.body = body
        self.name: str = body["metadata"]["name"]
        self.namespace: str = body["metadata"]["namespace"]
        self.uid: str = body["metadata"]["uid"]
        self.platform: str = body["spec"]["platformRefs"][0]["name"]
        self.role = ""
        """The name of the role, from the moment in which a test waited for it."""

    @property
    def database(self) -> Governed:
        return self.site.database(self.platform)

    def now(self) -> Body | None:
        """The object, or None when it is gone."""
        answer = self.site.cluster.read(self.body)
        if answer.status == 404 or answer.body["metadata"]["uid"] != self.uid:
            return None
        return answer.body

    @property
    def status(self) -> Body:
        found = self.now()
        assert found is not None, f"VendedRole {self.name} is gone"
        return dict(found.get("status", {}))

    def is_ready(self) -> bool:
        return any(each["type"] == "Ready" and each["status"] == "True" for each in self.status.get("conditions", []))

    def ready(self, within: float = DEADLINE) -> "Asked":
        self.site.told(self.body, "Ready", "True", within=within)
        self.role = self.status["roleName"]
        return self

    def refused(self, reason: str, *, granted: str = "", within: float = DEADLINE) -> str:
        """Waits until Ready says so, and Granted if asked; the message."""
        if granted:
            self.site.told(self.body, "Granted", granted, reason, within=within)
        return self.site.told(self.body, "Ready", "False", reason, within=within)

    def login(self) -> dict[str, str]:
        secret = self.site.secret(self.namespace, self.name)
        assert secret.ok, secret.message
        return self.site.text_of(secret)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.session(self.login()) as session:
            return session.execute(query).fetchall()

    def delete(self) -> None:
        """Begins it; it is done when the object is `gone`."""
        self.site.remove(self.body)

    def is_gone(self) -> bool:
        return self.now() is None

    def gone(self, within: float = DEADLINE) -> None:
        eventually(self.is_gone, within=within)

    @property
    def seconds_left(self) -> float:
        """Until its time is over, on this machine's clock, which is the API server's; 0 from then on."""
        age = datetime.now(UTC) - datetime.fromisoformat(self.body["metadata"]["creationTimestamp"])
        return max(0.0, float(self.body["spec"]["expirationSeconds"]) - age.total_seconds())

    def expired(self, within: float = DEADLINE) -> None:
        """Waits until it is gone, at most so long after its time is over."""
        self.gone(self.seconds_left + within)

    def has_role(self) -> bool:
        return self.database.has(self.role)

    def iterations(self) -> str:
        """Of its password's hash, as PostgreSQL keeps it: SCRAM-SHA-256$<iterations>:<salt>$<keys>."""
        ((password,),) = self.database.ask(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{self.role}'")
        return str(password).split("$")[1].split(":")[0]

    def events(self) -> set[tuple[str, str]]:
        return self.site.events(self.namespace, self.name)


class Tenant:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = f"t{next(_numbers)}"
        self.handle = self.name.upper()
        self._made: list[Body] = []
        self._asked = itertools.count(1)

    def make(self, kind: str, spec: Body, name: str = "", namespace: str = "") -> Body:
        """As the administrator, and taken away when the test is over."""
        return self.keep(self.site.apply(self.described(kind, spec, name, namespace)))

    def deploy(self, body: Body) -> Body:
        """As a tool does that deploys from git; again is the same."""
        answer = self.site.cluster.deploy(body)
        assert answer.ok, answer.message
        return self.keep(answer.body)

    def described(self, kind: str, spec: Body, name: str = "", namespace: str = "") -> Body:
        metadata = {"name": name or self.name, **({"namespace": namespace} if namespace else {})}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def agent(self, name: str = "", *, namespace: str = AGENTS, handle: str = "", **spec: Any) -> Body:
        return self.make("Agent", self.agent_spec(handle, **spec), name, namespace)

    def agent_spec(self, handle: str = "", **spec: Any) -> Body:
        return {"handle": handle or self.handle, "onBehalfOf": {"assertion": "Trusted"}, **spec}

    def user(self, subject: str = "anna") -> Body:
        return {"issuer": ISSUER, "subject": f"{subject}.{self.name}"}

    def person(self, subject: str = "anna", *, handle: str | None = None, **attributes: list[str]) -> Body:
        """With the attributes `tenant` (this one) and `countries` (DE and AT), unless others are given; None takes one away."""
        return self.make("UserAttributes", self.person_spec(subject, handle, **attributes), f"{subject}.{self.name}")

    def person_spec(self, subject: str = "anna", handle: str | None = None, **attributes: list[str]) -> Body:
        known = {"tenant": [self.name], "countries": ["DE", "AT"]} | attributes
        facts = [{"key": key, "values": values} for key, values in known.items() if values]
        return {"user": self.user(subject), "attributes": facts, **({"handle": handle} if handle else {})}

    def policy(self, name: str = "", *tables: str, namespace: str = DOMAIN, platform: str = WAREHOUSE, **spec: Any) -> Body:
        """For people of this tenant: `people` of their countries, without the ssn."""
        return self.make("AccessPolicy", self.policy_spec(*tables, platform=platform, **spec), name or self.name, namespace)

    def policy_spec(self, *tables: str, platform: str = WAREHOUSE, **spec: Any) -> Body:
        return {
            "platformRefs": [{"name": platform}],
            "users": {"matchAttributes": [{"key": "tenant", "operator": "In", "values": [self.name]}]},
            "tables": {"matchNames": [{"schema": SCHEMA, "name": table} for table in tables or ("people",)]},
            "columns": {"matchNames": ["*"]},
            "rowFilter": "country IN (user_attr('countries'))",
            "masks": [{"name": "ids", "columns": {"matchNames": ["ssn"]}, "type": "Nullify"}],
            **spec,
        }

    def grant_to_agent(self, *tables: str, **spec: Any) -> Body:
        """To this tenant's agent itself, whichever user it acts for: all of `people`, unless something is changed."""
        condition = {"name": "this-one", "expression": f"agent.name == '{self.name}'"}
        of_agent = {"grantsTo": "Agents", "agents": {"matchConditions": [condition]}, "masks": [], "rowFilter": "country IS NOT NULL"}
        described = self.policy_spec(*tables, **{**of_agent, **spec})
        described.pop("users")
        return self.make("AccessPolicy", described, f"{self.name}-agent", DOMAIN)

    def ready_to_ask(self, platform: str = WAREHOUSE, namespace: str = AGENTS) -> "Tenant":
        """An agent, the person anna, and a policy: whoever asks now is vended a role."""
        self.agent(namespace=namespace)
        self.person()
        self.site.told(self.policy(platform=platform), "Ready", "True")
        return self

    def ask(
        self,
        subject: str = "anna",
        *,
        name: str = "",
        namespace: str = AGENTS,
        agent: str = "",
        platform: str = WAREHOUSE,
        seconds: int = 900,
        user: Body | None = None,
        wanted: Body | None = None,
        **metadata: Any,
    ) -> Asked:
        """`wanted`: more of the spec."""
        spec = {
            "agentRef": {"name": agent or self.name},
            "user": user or self.user(subject),
            "platformRefs": [{"name": platform}],
            "expirationSeconds": seconds,
            **(wanted or {}),
        }
        body = self.described("VendedRole", spec, name or f"{self.name}-{next(self._asked)}", namespace)
        body["metadata"] |= metadata
        return Asked(self.site, self.keep(self.site.apply(body)))

    def ask_briefly(self, begin: Callable[[Asked], Answer], *, seconds: int = 5, **wanted: Any) -> tuple[Asked, Answer]:
        """One that is over soon after `begin` is done with it, and what that came to: asked again with twice the time where it was over
        before."""

        def begun(life: int) -> tuple[Asked, Answer]:
            asked = self.ask(seconds=life, **wanted)
            try:
                return asked, begin(asked)
            except Exception:
                asked.delete()
                asked.gone()
                raise

        return in_time(begun, seconds)

    def roles(self) -> set[str]:
        """Those that were vended to its agent and are on the platform. Another test's may still be on their way out."""
        return {role for role in self.site.warehouse.roles() if f"_{self.handle}_" in role}

    def leave(self) -> None:
        """Takes everything away again; the vended roles first."""
        for body in sorted(self._made, key=lambda body: body["kind"] != "VendedRole"):
            self.site.remove(body)

    def keep(self, body: Body) -> Body:
        self._made.append(body)
        return body
