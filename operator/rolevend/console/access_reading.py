"""Answer questions on access: live roles as RBAC shows them to the person, and all that a decision needs, read with their own rights.

Reading and judging take time and memory, so one answer at a time is made here, in a thread, and what takes too long is left out. People
take turns: many questions of one hold up others for no longer than one does.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from rolevend.access_report.answer import PossibleAccess, RoleAccess
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.live import LiveRoles
from rolevend.access_report.person import PersonAnswer, PersonQuestion, person_answer
from rolevend.access_report.picture import PictureAnswer, picture_answer
from rolevend.access_report.reader import AccessSources, read_objects
from rolevend.access_report.report import AccessAnswer, live_answer, possible_answer
from rolevend.access_report.target import AccessQuestion, AccessTarget
from rolevend.console.live import VisibleRoles
from rolevend.console.person import Person
from rolevend.console.rights import Act
from rolevend.console.turns import Turns
from rolevend.errors import NotPermitted, Rejected, RolevendError
from rolevend.kinds import AccessRequest, VendedRole
from rolevend.kube.client import KubeClient
from rolevend.policytools.cluster import PeopleBound
from rolevend.policytools.folder import Catalogs
from rolevend.policytools.published_catalogs import CATALOG_READER, published_catalogs
from rolevend.revocations.reader import unlisted_places

MOST_PEOPLE: Final = 10_000
"""UserAttributes of one answer: parsed and judged, they take some 100 MiB."""
_READING_SECONDS: Final = 25.0
"""With the wait for other answers."""
_JUDGING_SECONDS: Final = 10.0
_REQUESTS: Final = "accessrequests"
_OFF: Final = "policies are not judged: this console does not act as you; use rolevend access, or ask for console.impersonation"

T = TypeVar("T")
Q = TypeVar("Q", AccessQuestion, PersonQuestion)


class AnswerTooLate(Rejected):
    """The answer takes too long."""


class AccessAnswers:
    def __init__(self, cluster: KubeClient, roles: VisibleRoles, namespace: str, now: Callable[[], datetime], *, enabled: bool) -> None:
        """`namespace` is the operator's. `enabled`: the console may act as a person; otherwise it answers from the status of live roles."""
        self._cluster = cluster
        self._roles = roles
        self._namespace = namespace
        self._now = now
        self._enabled = enabled
        self._turns = Turns(1, _READING_SECONDS)

    async def live(self, person: Person, question: AccessQuestion) -> AccessAnswer[RoleAccess]:
        """Return the live roles that read the table, of those that the person may see. Raises InvalidInput for a misspelled name, and
        AnswerTooLate."""
        roles = LiveRoles.of_parsed(await self._roles.visible(person))
        requests = await self._requests(person, roles.roles)

        def answer(sources: AccessSources) -> AccessAnswer[RoleAccess]:
            held = replace(sources, roles=roles, requests=requests)
            return live_answer(_timed(question, held), held, AuditedAccess(question.target))

        found = await self._answered(person, PeopleBound(MOST_PEOPLE, users=roles.users), answer)
        if await self._roles.rights.may(person, Act("list", "vendedroles")):
            return found
        return replace(found, notes=(*found.notes, "roles in namespaces whose VendedRoles you may not list are not shown"))

    async def possible(self, person: Person, question: AccessQuestion) -> AccessAnswer[PossibleAccess]:
        """Return the people and agents whom policies would grant the table. Raises InvalidInput for a misspelled name, NotPermitted, and
        AnswerTooLate."""

        def answer(sources: AccessSources) -> AccessAnswer[PossibleAccess]:
            _require_objects(sources)
            return possible_answer(_timed(question, sources), sources)

        return await self._answered(person, PeopleBound(MOST_PEOPLE, question.selection.user), answer)

    async def person(self, person: Person, question: PersonQuestion) -> PersonAnswer:
        """Return the tables that the person of the question gets. Raises InvalidInput for a misspelled name, NotPermitted, and
        AnswerTooLate."""

        def answer(sources: AccessSources) -> PersonAnswer:
            _require_objects(sources)
            return person_answer(_timed(question, sources), sources)

        return await self._answered(person, PeopleBound(MOST_PEOPLE, question.user), answer)

    async def picture(self, person: Person, question: PersonQuestion, target: AccessTarget) -> PictureAnswer:
        """Explain one table for the person of the question. Raises as `person`."""

        def answer(sources: AccessSources) -> PictureAnswer:
            _require_objects(sources)
            return picture_answer(_timed(question, sources), target, sources)

        return await self._answered(person, PeopleBound(MOST_PEOPLE, question.user), answer)

    async def _answered(self, person: Person, people: PeopleBound, answer: Callable[[AccessSources], T]) -> T:
        try:
            async with self._turns.of(person) as limit:
                sources = await self._read(person, people)
                limit.reschedule(None)  # a thread cannot be stopped: it ends by itself
                return await asyncio.to_thread(answer, sources)
        except TimeoutError as error:
            raise AnswerTooLate("the answer takes too long here, or others wait for theirs; try again, or use rolevend access") from error

    async def _read(self, person: Person, people: PeopleBound) -> AccessSources:
        if not self._enabled:
            return AccessSources({}, notes=(_OFF,))
        cluster, notes = self._cluster.acting_as(person.username, person.groups), list[str]()
        objects = await read_objects(cluster, notes, people)
        if objects is None:
            return AccessSources({}, notes=tuple(notes))
        catalogs = await self._catalogs(cluster, notes)
        notes += await unlisted_places(cluster)
        if people.is_cut:
            notes.append(f"not tried: people after the first {people.most:,} UserAttributes; choose a user, or use rolevend access")
        return AccessSources(catalogs, objects=objects, other_users=frozenset(people.other_users), notes=tuple(notes))

    async def _catalogs(self, cluster: KubeClient, notes: list[str]) -> Catalogs:
        try:
            published = await published_catalogs(cluster, self._namespace, self._now())
        except NotPermitted:
            notes.append(f"you may not read the catalogs of platforms; the Role {CATALOG_READER} in namespace {self._namespace} permits it")
        except RolevendError:
            notes.append("the operator has published no catalog yet, or it cannot be read now")
        else:
            notes += published.notes
            return published.catalogs
        return {}

    async def _requests(self, person: Person, roles: tuple[VendedRole, ...]) -> tuple[AccessRequest, ...]:
        """Return the requests whose approvals these roles use, as far as the person may list them."""
        namespaces = {each.namespace for each in roles if each.spec.approval_ref is not None}
        allowed = await self._roles.rights.namespaces(person, "list", _REQUESTS, namespaces)
        return tuple(each for each in self._roles.objects.requests() if each.namespace in allowed)


def _require_objects(sources: AccessSources) -> None:
    if sources.objects is None:
        raise NotPermitted("; ".join(sources.notes))


def _timed(question: Q, sources: AccessSources) -> Q:
    """Return the question with an end, counted from when the snapshot is there."""
    _ = sources.built
    end = time.monotonic() + _JUDGING_SECONDS
    return replace(question, is_over=lambda: time.monotonic() > end)
