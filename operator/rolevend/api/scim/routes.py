"""The SCIM calls. Each authenticates the identity provider before it reads the body, parses, calls a service and answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI
from scim2_models import Context, Group, ListResponse, ResponseParameters, SearchRequest
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rolevend.api.scim.authentication import ScimAuthenticator
from rolevend.api.scim.calls import SCIM, SCIM_CALLS
from rolevend.api.scim.directory import ScimDirectory
from rolevend.api.scim.failures import MEDIA_TYPE, ScimJson, ScimRefusal, failed
from rolevend.api.scim.groups import ScimGroups
from rolevend.api.scim.records import ScimGroupRecord, ScimUserRecord, group_document, user_document
from rolevend.api.scim.schemas import MAX_RESULTS, TOLERANT, Document, ScimUser, service_provider_config
from rolevend.api.scim.users import ScimCaller, ScimUsers
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object
from rolevend.web.named_route import NamedRoute

_LONGEST_FILTER: Final = 2_000
_YIELD_EVERY: Final = 50
_MEDIA_TYPES: Final = (MEDIA_TYPE, "application/json")
_PUSHES: Final = ("POST", "PUT", "PATCH", "DELETE")
# Once: pydantic makes the class of each parameter again, in milliseconds, as soon as nobody holds it.
_SEARCHES: Final[dict[Any, Any]] = {ScimUser: SearchRequest[ScimUser], Group: SearchRequest[Group]}
_PARAMETERS: Final[dict[Any, Any]] = {ScimUser: ResponseParameters[ScimUser], Group: ResponseParameters[Group]}
_Call = Callable[[Request, ScimCaller], Awaitable[Response]]


class ScimRoutes:
    def __init__(
        self,
        authenticator: ScimAuthenticator,
        directory: ScimDirectory,
        users: ScimUsers,
        groups: ScimGroups,
        on_push: Callable[[str, int], None],
    ) -> None:
        """`on_push` is called with provider and status of each answered change, and of calls whose token is of none: then it is empty."""
        self._authenticator = authenticator
        self._directory = directory
        self._users = users
        self._groups = groups
        self._on_push = on_push

    def add_to(self, app: FastAPI) -> None:
        """Add the calls. They are no part of its document, which is for agents."""
        discovery, users, groups = SCIM_CALLS
        calls: list[tuple[str, dict[str, _Call], str]] = [
            ("/ServiceProviderConfig", {"GET": self._config}, discovery),
            ("/ResourceTypes", {"GET": self._resource_types}, discovery),
            ("/ResourceTypes/{id}", {"GET": self._resource_types}, discovery),
            ("/Schemas", {"GET": self._schemas}, discovery),
            ("/Schemas/{id}", {"GET": self._schemas}, discovery),
            ("/Users", {"GET": self._list_users, "POST": self._create_user}, users),
            ("/Users/{id}", {"GET": self._user, "PUT": self._change_user, "PATCH": self._change_user, "DELETE": self._delete_user}, users),
            ("/Groups", {"GET": self._list_groups, "POST": self._create_group}, groups),
            (
                "/Groups/{id}",
                {"GET": self._group, "PUT": self._change_group, "PATCH": self._change_group, "DELETE": self._delete_group},
                groups,
            ),
            ("/Bulk", {"POST": _not_supported}, discovery),
            ("/.search", {"POST": _not_supported}, discovery),
            ("/{rest:path}", {}, discovery),
        ]
        app.router.routes += [self._route(SCIM + path, methods, name) for path, methods, name in calls]

    def _route(self, path: str, methods: dict[str, _Call], name: str) -> NamedRoute:
        async def answer(request: Request) -> Response:
            caller = None
            try:
                caller = await self._authenticator.caller(request.headers.getlist("authorization"), request.state.request_id)
                call = methods.get(request.method)
                if call is None:
                    raise ScimRefusal(405, "there is no such call at this path") if methods else _nowhere()
                response = await call(request, caller)
            except Exception as error:
                response = failed(error, request)
            if request.method in _PUSHES or caller is None:
                self._on_push(caller.provider if caller else "", response.status_code)
            return response

        return NamedRoute(path, answer, ["GET", *_PUSHES], name)

    async def _config(self, request: Request, _: ScimCaller) -> Response:
        config = service_provider_config().model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        return _json({**config, "meta": {"resourceType": "ServiceProviderConfig", "location": _at(request, "/ServiceProviderConfig")}})

    async def _resource_types(self, request: Request, caller: ScimCaller) -> Response:
        found = [each.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE) for each in caller.kept.resource_types()]
        return _discovered(request, found, "ResourceType")

    async def _schemas(self, request: Request, caller: ScimCaller) -> Response:
        found = [each.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE) for each in caller.kept.schemas()]
        return _discovered(request, found, "Schema")

    async def _list_users(self, request: Request, caller: ScimCaller) -> Response:
        search = _search(request, ScimUser)

        def shown(record: ScimUserRecord) -> Document:
            return user_document(record, _at(request, "/Users", record.name))

        if search.filter is None:
            records = list(self._directory.users(caller.provider))
            start, count = _page(search)
            return _listed([shown(each) for each in records[start - 1 : start - 1 + count]], len(records), start, search, ScimUser)
        candidates = self._candidates(caller, search.filter.ast)
        found = [each async for each in _matching((shown(each) for each in candidates), search, ScimUser)]
        start, count = _page(search)
        return _listed(found[start - 1 : start - 1 + count], len(found), start, search, ScimUser)

    def _candidates(self, caller: ScimCaller, filter_: Any) -> Sequence[ScimUserRecord]:
        """Return the users that may match: by the index if the filter compares an indexed attribute, otherwise all."""
        terms = filter_.terms if isinstance(filter_, LogicalExpr) and filter_.op == LogicalOperator.and_ else (filter_,)
        for term in terms:
            if isinstance(term, Comparison) and term.op == CompareOperator.eq and isinstance(term.value, str):
                indexed = {"username": "userName", "externalid": "externalId", "id": "id"}.get(term.attr_path.attr.lower())
                if indexed is not None and term.attr_path.sub_attr is None:
                    return self._directory.find(caller.provider, indexed, term.value)
        return list(self._directory.users(caller.provider))

    async def _create_user(self, request: Request, caller: ScimCaller) -> Response:
        return _user_shown(request, await self._users.create(caller, await _body(request)), 201)

    async def _user(self, request: Request, caller: ScimCaller) -> Response:
        return _user_shown(request, await self._users.get(caller, request.path_params["id"]))

    async def _change_user(self, request: Request, caller: ScimCaller) -> Response:
        change = self._users.patch if request.method == "PATCH" else self._users.replace
        return _user_shown(request, await change(caller, request.path_params["id"], await _body(request)))

    async def _delete_user(self, request: Request, caller: ScimCaller) -> Response:
        await self._users.delete(caller, request.path_params["id"])
        return Response(status_code=204)

    async def _list_groups(self, request: Request, caller: ScimCaller) -> Response:
        search, start_count = _search(request, Group), _page(_search(request, Group))
        records = await self._directory.groups(caller.provider)
        with_members = _wants_members(search)
        filtered = "members" in str(search.filter or "").lower()
        documents = (self._group_shown(request, caller, each, members=with_members or filtered) for each in records)
        found = [each async for each in _matching(documents, search, Group)]
        start, count = start_count
        return _listed(found[start - 1 : start - 1 + count], len(found), start, search, Group)

    async def _create_group(self, request: Request, caller: ScimCaller) -> Response:
        return self._group_answer(request, caller, await self._groups.create(caller, await _body(request)), 201)

    async def _group(self, request: Request, caller: ScimCaller) -> Response:
        return self._group_answer(request, caller, await self._groups.get(caller, request.path_params["id"]))

    async def _change_group(self, request: Request, caller: ScimCaller) -> Response:
        change = self._groups.patch if request.method == "PATCH" else self._groups.replace
        return self._group_answer(request, caller, await change(caller, request.path_params["id"], await _body(request)))

    async def _delete_group(self, request: Request, caller: ScimCaller) -> Response:
        await self._groups.delete(caller, request.path_params["id"])
        return Response(status_code=204)

    def _group_answer(self, request: Request, caller: ScimCaller, record: ScimGroupRecord, status: int = 200) -> Response:
        parameters = _parameters(request, Group)
        shown = self._group_shown(request, caller, record, members=_wants_members(parameters))
        return _json(_trimmed(shown, parameters, Group), status, _at(request, "/Groups", record.name))

    def _group_shown(self, request: Request, caller: ScimCaller, record: ScimGroupRecord, *, members: bool) -> Document:
        names = self._groups.members(caller, record.name) if members else None
        return group_document(record, names, _at(request, "/Groups", record.name), _at(request, "/Users"))


async def _not_supported(_request: Request, _caller: ScimCaller) -> Response:
    raise ScimRefusal(501, "not supported, as the ServiceProviderConfig says")


async def _body(request: Request) -> Document:
    media_type = request.headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise ScimRefusal(415, f"Content-Type: must be {MEDIA_TYPE}")
    try:
        body: Document = read_object(await request.body())
    except ClientDisconnect:
        raise ScimRefusal(400, "the body was not sent completely", "invalidSyntax") from None
    except DuplicateMember as error:
        raise ScimRefusal(400, f"a member occurs twice: {error.member[:100]}", "invalidSyntax") from error
    except NotJson as error:
        raise ScimRefusal(400, f"the body cannot be read: {error}", "invalidSyntax") from error
    return body


def _parameters(request: Request, model: Any) -> Any:
    given = {name: value for name, value in request.query_params.items() if name in ("attributes", "excludedAttributes")}
    return _PARAMETERS[model].model_validate(given)


def _search(request: Request, model: Any) -> Any:
    given = dict(request.query_params)
    if len(given.get("filter", "")) > _LONGEST_FILTER:
        raise ScimRefusal(400, f"filter: at most {_LONGEST_FILTER} characters", "invalidFilter")
    wanted = ("filter", "startIndex", "count", "attributes", "excludedAttributes")
    try:
        return _SEARCHES[model].model_validate({name: value for name, value in given.items() if name in wanted})
    except RecursionError:
        raise ScimRefusal(400, "filter: it is nested too deeply", "invalidFilter") from None


def _page(search: Any) -> tuple[int, int]:
    return search.start_index or 1, MAX_RESULTS if search.count is None else min(search.count, MAX_RESULTS)


async def _matching(documents: Any, search: Any, model: Any) -> AsyncIterator[Document]:
    for number, document in enumerate(documents, start=1):
        if search.filter is None or search.filter.match(model.model_validate(document, scim_policy=TOLERANT)):
            yield document
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)


def _listed(documents: list[Document], total: int, start: int, search: Any, model: Any) -> Response:
    resources = [_trimmed(each, search, model) for each in documents]
    schema = str(ListResponse.__schema__)
    shown = {"schemas": [schema], "totalResults": total, "startIndex": start, "itemsPerPage": len(resources), "Resources": resources}
    return _json(shown)


def _trimmed(document: Document, parameters: Any, model: Any) -> Document:
    """Return the attributes that were asked for."""
    if not parameters.attributes and not parameters.excluded_attributes:
        return document
    shown = model.model_validate(document, scim_policy=TOLERANT)
    trimmed: Document = shown.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters)
    return trimmed


def _wants_members(parameters: Any) -> bool:
    names = [str(each).lower() for each in parameters.attributes or ()]
    left_out = [str(each).lower() for each in parameters.excluded_attributes or ()]
    return "members" not in left_out and (not names or any(each.startswith("members") for each in names))


def _discovered(request: Request, found: list[Document], kind: str) -> Response:
    for each in found:
        each["meta"] = {"resourceType": kind, "location": _at(request, f"/{kind}s", each["id"])}
    name = request.path_params.get("id")
    if name is not None:
        one = next((each for each in found if each["id"].lower() == name.lower()), None)
        if one is None:
            raise _nowhere()
        return _json(one)
    if "filter" in request.query_params:
        raise ScimRefusal(403, "filter: discovery has none")  # RFC 7644, section 4
    schema = str(ListResponse.__schema__)
    shown = {"schemas": [schema], "totalResults": len(found), "startIndex": 1, "itemsPerPage": len(found), "Resources": found}
    return _json(shown)


def _user_shown(request: Request, record: ScimUserRecord, status: int = 200) -> Response:
    location = _at(request, "/Users", record.name)
    return _json(_trimmed(user_document(record, location), _parameters(request, ScimUser), ScimUser), status, location)


def _json(document: Document, status: int = 200, location: str | None = None) -> Response:
    headers = {"Location": location} if location and status == 201 else {}
    return ScimJson(json.dumps(document), status, headers)


def _at(request: Request, *parts: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{SCIM}{parts[0]}" + "".join(f"/{each}" for each in parts[1:])


def _nowhere() -> ScimRefusal:
    return ScimRefusal(404, "there is no such resource")
