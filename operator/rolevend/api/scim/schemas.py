"""The SCIM resources that are served: the library's models, cut to the attributes that an IdentityProvider maps. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Filter,
    Group,
    Patch,
    Reference,
    Required,
    ResourceType,
    Schema,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    User,
)

from rolevend.kinds.scim import MULTI_VALUED, Scim

Document = dict[str, Any]
"""A SCIM resource, as JSON."""

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_SCHEMA: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
MAX_RESULTS: Final = 200
ScimUser = User[EnterpriseUser]

TOLERANT: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""As Microsoft Entra ID sends them: attributes that nobody declared, `Remove` with a value, and paths that describe a new entry."""

_ENTERPRISE: Final = ("employeeNumber", "costCenter", "organization", "division", "department")
_ALWAYS: Final = ("userName", "externalId", "active")
_OF_ENTRY: Final = ("value", "type", "primary")


class Kept:
    """The attributes of a user that are kept: those that the mapping names, and the core of SCIM. All others are dropped unread."""

    def __init__(self, scim: Scim) -> None:
        self.scim = scim
        self.core = [*_ALWAYS, *sorted({each.attribute for each in scim.attributes} - {*_ENTERPRISE, *_ALWAYS})]
        self.enterprise = sorted({each.attribute for each in scim.attributes}.intersection(_ENTERPRISE))
        self._spelled = {name.lower(): name for name in self.core}
        self._spelled_enterprise = {name.lower(): name for name in self.enterprise}

    def cut(self, document: Mapping[str, Any]) -> Document:
        """Return the kept attributes of a user that was sent. Names count in any case."""
        found: Document = {}
        for name, value in document.items():
            if name.lower() == ENTERPRISE_SCHEMA.lower():
                extension = _named(value, self._spelled_enterprise) if isinstance(value, dict) else {}
                if extension:
                    found[ENTERPRISE_SCHEMA] = extension
            elif (spelled := self._spelled.get(name.lower())) is not None:
                found[spelled] = value
        return found

    def concerns(self, path: str) -> bool:
        """True if a PATCH path targets a kept attribute, or is none that the schemas know."""
        bare = path.strip().lower()
        for schema, names in ((ENTERPRISE_SCHEMA, self._spelled_enterprise), (USER_SCHEMA, self._spelled)):
            if bare.startswith(schema.lower()):
                rest = bare[len(schema) + 1 :]
                return not rest or _first_name(rest) in names
        name = _first_name(bare)
        return name in self._spelled or name not in _KNOWN

    def entries(self, user: Document) -> Document:
        """Return the user without the entries, and the sub-attributes, that no item of the mapping selects."""
        types: dict[str, set[str] | None] = {}
        for each in self.scim.attributes:
            if each.attribute in MULTI_VALUED:
                before = types.get(each.attribute, set())
                types[each.attribute] = None if before is None or each.type is None else before | {each.type.lower()}
        for name, wanted in types.items():
            chosen = [
                {part: entry[part] for part in _OF_ENTRY if part in entry}
                for entry in user.get(name) or ()
                if wanted is None or str(entry.get("type", "")).lower() in wanted
            ]
            user = {**{key: value for key, value in user.items() if key != name}, **({name: chosen} if chosen else {})}
        return user

    def values(self, user: Document) -> Iterator[tuple[str, list[str]]]:
        """Yield key and values of each mapped attribute that the user has."""
        for each in self.scim.attributes:
            if each.attribute in MULTI_VALUED:
                entries = user.get(each.attribute) or ()
                chosen = [entry for entry in entries if each.type is None or str(entry.get("type", "")).lower() == each.type.lower()]
                found = [str(entry["value"]) for entry in chosen if entry.get("value")]
            else:
                source = user.get(ENTERPRISE_SCHEMA, {}) if each.attribute in _ENTERPRISE else user
                value = source.get(each.attribute)
                found = [str(value)] if value else []
            if found:
                yield each.key, list(dict.fromkeys(found))

    def schemas(self) -> list[Schema]:
        """Return the schemas, without the attributes that are not kept."""
        user, group, enterprise = User.to_schema(), Group.to_schema(), EnterpriseUser.to_schema()
        names = {*self.core, "groups"}
        user.attributes = [each for each in user.attributes or () if each.name in names]
        for each in user.attributes:
            if each.name in MULTI_VALUED:
                each.sub_attributes = [part for part in each.sub_attributes or () if part.name in _OF_ENTRY]
            if each.name == "groups":
                each.sub_attributes = [part for part in each.sub_attributes or () if part.name in ("value", "display")]
            if each.name == "active":
                each.required = Required.true  # nobody is activated because the attribute was removed
        for each in group.attributes or ():
            if each.name == "members":
                each.sub_attributes = [part for part in each.sub_attributes or () if part.name in ("value", "$ref", "type")]
        enterprise.attributes = [each for each in enterprise.attributes or () if each.name in self.enterprise]
        return [user, group, *([enterprise] if self.enterprise else [])]

    def resource_types(self) -> list[ResourceType]:
        return [ResourceType.from_resource(ScimUser if self.enterprise else User), ResourceType.from_resource(Group)]


def service_provider_config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=False),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The token of spec.scim.tokenSecretRef, or an access token of a client in spec.scim.clients",
                spec_uri=Reference("https://www.rfc-editor.org/rfc/rfc6750"),
            )
        ],
    )


def _named(value: Mapping[str, Any], spelled: Mapping[str, str]) -> Document:
    return {spelled[name.lower()]: each for name, each in value.items() if name.lower() in spelled}


def _first_name(path: str) -> str:
    return path.partition("[")[0].partition(".")[0].strip()


_KNOWN: Final = frozenset(
    name.lower()
    for model in (User, EnterpriseUser)
    for field, info in model.model_fields.items()
    for name in (str(info.serialization_alias or field),)
) - {"id", "schemas", "meta"}
