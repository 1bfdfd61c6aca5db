"""The page of the HTTP API, from its own OpenAPI document and from the codes of its problems. Part of `docs/generate.py`."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from tables import docstrings, table

from rolevend.api.problems import CODES
from rolevend.api.routes import application
from rolevend.identity.refusal import Code, Standing

Schema = Mapping[str, Any]

_HEAD = """\
# The HTTP API

`rolevend api` serves it, where the chart says `api.enabled: true`. [Query as an agent](../how-to/query-as-an-agent.md) has a client in
Python, and each replica the whole document, OpenAPI 3.1, at `/openapi.json`.

Every call bears the agent's own token, `Authorization: Bearer …`: that of a ServiceAccount of this cluster, or of a client of an
IdentityProvider. Every answer has an `X-Request-Id`, which is the caller's if it sent one, and a `traceparent` (W3C). A member that a call
does not know is refused, and so is one that stands twice in its object.

`/confirm/…` is [a page for people](../how-to/let-people-confirm.md), with HTML and cookies. It is no part of the document, and reads no
token of an agent.

Where the chart says `api.scim: true`, an identity provider calls `/scim/v2/…` with a token of its own: [SCIM 2.0](../how-to/scim.md) has
its own documents there, and is no part of this one. Where it says `api.signals: true`, an identity provider sends security event tokens
to `/ssf/v1/events`: [Shared Signals](../how-to/shared-signals.md).

## OpenID AuthZEN

`/.well-known/authzen-configuration` has the addresses. `POST /access/v1/evaluation` is the evaluation of the Authorization API 1.0.
`/access/v1/tasks` is the [Access Request and Approval Profile](https://openid.github.io/authzen/authzen-access-request-approval-profile-1_0.html),
**draft 1 of June 2026, which will change**; the draft leaves the path to the server. `/access/v1/requests` has our own members, and stays.

1. The evaluation of a table or column is denied with `context.access_request`, if an offer that may be named shows it. `template` is the
   offer.
2. `POST /access/v1/tasks` brings `binding_token` and `expires_at` back as `denial`, within ten minutes. It makes an AccessRequest for this
   one table or column. `items`, at most ten, each with its own `denial`, make one each, and one task. 201: decided; 202: people decide.
3. `GET` of `status_endpoint` says how it is, with `Prefer: wait=60` after the decision. `POST` of `links.cancel` withdraws what is pending.
4. An evaluation with the approval of the result as `context.approval` decides again, by all policies; after a denial `next_action` says if
   another request helps. A vend takes the same id: `approval: {id}`.

| State of the AccessRequest | Status of the task |
|---|---|
| `Pending` | `pending` |
| `Approved`, and every later state | `approved`: the next evaluation says that an approval has ended |
| `Denied`, `Expired`, `Cancelled` before an approval | `denied`, `expired`, `cancelled` |
| any other one before an approval | `failed` |

Not there: a binding of several items by one denial, `evaluation_id`, forms, schemas and catalogs, `callback`, `client`, `emergency`,
`jwks_uri` and signed states (the seal is for rolevend alone), `expires_at` of a task. Unknown members of the profile are ignored. The
token in `subject.properties` proves the subject, and is no part of it; the `id` of a resource is not kept. A login that does not suffice
is answered with 401 and the challenge of RFC 9470.\
"""
_PROBLEMS = """\
## Problems

What fails is answered with `application/problem+json` (RFC 9457). `code` is stable, `detail` is for people and changes, `field` names the
member that is to blame, `requestId` finds the call in logs and audit events. `Retry-After` says when it is worth another try.

A denial has the reason of the condition `Granted` as its code, with status 403; [the conditions](conditions.md#vendedrole) list them.
`missing` is then what would have to be granted, and the offers that can be requested for it. A table that does not exist, one without an
offer, and one whose offer is not `discoverable` are answered alike. `accessRequest` says how to request the first of these offers: the
address, the body, and the members to add to it, such as the user's token. Ask the user first.

A request for an offer that is denied has the reason of its state as its code; [the conditions](conditions.md#accessrequest) list them.\
"""


def page() -> Iterator[str]:
    nothing = cast(Any, None)  # what the document says depends on none of it
    document = application(nothing, nothing, nothing, nothing, nothing).openapi()
    schemas = document["components"]["schemas"]
    yield _HEAD
    yield ""
    calls = [(method.upper(), path, call) for path, methods in document["paths"].items() for method, call in methods.items()]
    yield from table(("Call", "Does"), [(f"`{method} {path}`", call["summary"]) for method, path, call in calls])
    for method, path, call in calls:
        yield from ("", f"## {method} {path}", "")
        yield from _call(call)
    yield from ("", "## Members", "")
    for name in _asked_and_answered(schemas):
        said = " ".join(schemas[name].get("description", "").split())
        yield from (f"### {name}", "", *((said, "") if said else ()))
        yield from table(("Member", "Type", "Meaning"), _members(schemas[name]))
        yield ""
    yield from (_PROBLEMS, "")
    told = docstrings(Code)
    rows = [(f"`{code}`", str(status), meaning) for code, (status, meaning) in CODES.items()]
    yield from table(("Code", "Status", "Meaning"), rows)
    yield from ("", "Of tokens:", "")
    of_tokens = [(f"`{code.value}`", str(int(Standing(code.standing))), told.get(code.name, "")) for code in Code]
    yield from table(("Code", "Status", "Meaning"), of_tokens)


def _call(call: Schema) -> Iterator[str]:
    parameters = [(f"`{each['name']}`", each["in"], each.get("description", "")) for each in call.get("parameters", ())]
    if parameters:
        yield from table(("Parameter", "In", "Meaning"), parameters)
        yield ""
    if "requestBody" in call:
        (media,) = call["requestBody"]["content"].values()
        yield f"Body: {_type(media['schema'])}."
        yield ""
    answers = {status: answer for status, answer in call["responses"].items() if int(status) < 300}
    yield from table(("Status", "Answer"), [(status, f"{answer['description']}{_of(answer)}") for status, answer in answers.items()])


def _of(answer: Schema) -> str:
    schemas = [media["schema"] for media in answer.get("content", {}).values() if media.get("schema")]
    return f": {_type(schemas[0])}" if schemas else ""


def _asked_and_answered(schemas: Mapping[str, Schema]) -> list[str]:
    return [name for name in schemas if name not in ("HTTPValidationError", "ValidationError")]


def _members(schema: Schema) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        meaning = " ".join(member.get("description", "").split())
        yield f"`{name}`", f"{_type(member)}{'' if name in required else ', optional'}", meaning


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "any"))
