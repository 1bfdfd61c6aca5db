"""A user or group of SCIM, and the object that keeps it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final
from unicodedata import normalize

from rolevend.api.scim.schemas import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, Document, Kept
from rolevend.errors import InvalidInput
from rolevend.kinds import API_VERSION, UserAttributes
from rolevend.kinds.parse import parse
from rolevend.kinds.scim import SCIM_ANNOTATION, SCIM_MANAGER
from rolevend.kinds.shared import MANAGED_BY
from rolevend.kube.client import Body

SELECTOR: Final = f"{MANAGED_BY}={SCIM_MANAGER}"
PREFIX: Final = "scim-"
"""Of all names that SCIM gives."""


@dataclass(frozen=True, slots=True)
class ScimUserRecord:
    """A user, with the version of the object that keeps it."""

    name: str
    """The name of the UserAttributes, and the id in SCIM."""
    provider: str
    """The name of the IdentityProvider."""
    user: Document
    """The kept attributes."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Display names by id."""
    issuer: str = ""
    subject: str = ""
    deleted: bool = False
    """True: a tombstone. It stays suspended, so that tokens of the user do not count again."""
    held: bool = False
    """True: a responder suspended the user while they were active. No push takes it back."""
    modified: str = ""
    created: str = field(default="", compare=False)
    version: str = field(default="", compare=False)

    @property
    def active(self) -> bool:
        return not self.deleted and self.user.get("active", True) is not False


@dataclass(frozen=True, slots=True)
class ScimGroupRecord:
    name: str
    """The name of the ConfigMap, and the id in SCIM."""
    provider: str
    display_name: str
    external_id: str | None = None
    modified: str = ""
    created: str = field(default="", compare=False)
    version: str = field(default="", compare=False)
    uid: str = field(default="", compare=False)


def comparable(text: str) -> str:
    """Return the form in which user names and display names are compared: in any case."""
    return normalize("NFC", normalize("NFC", text).lower())


def name_of(what: str, provider: str, text: str, attempt: int = 0) -> str:
    """Return the name of the object of a user or group. Two replicas that create the same one choose the same name."""
    digest = sha256(json.dumps([what, provider, text, attempt]).encode()).hexdigest()
    return f"{PREFIX}{what}-{digest[:32]}"


def user_record(body: Body) -> ScimUserRecord | None:
    """Return the user that the object keeps, or None if SCIM did not make the object."""
    known = _known(body)
    if known is None:
        return None
    metadata = body["metadata"]
    record = ScimUserRecord(
        name=metadata["name"],
        provider=str(known.get("provider")),
        user=known.get("user") or {},
        groups=known.get("groups") or {},
        issuer=body["spec"]["user"]["issuer"],
        subject=body["spec"]["user"]["subject"],
        deleted=known.get("deleted") is True,
        modified=str(known.get("modified", "")),
        created=metadata.get("creationTimestamp", ""),
        version=metadata["resourceVersion"],
    )
    held = body["spec"].get("suspend") if record.active else known.get("held")
    return replace(record, held=held is True)


def group_record(body: Body) -> ScimGroupRecord | None:
    known = _known(body)
    if known is None or "displayName" not in known:
        return None
    metadata = body["metadata"]
    return ScimGroupRecord(
        name=metadata["name"],
        provider=str(known.get("provider")),
        display_name=known["displayName"],
        external_id=known.get("externalId"),
        modified=str(known.get("modified", "")),
        created=metadata.get("creationTimestamp", ""),
        version=metadata["resourceVersion"],
        uid=metadata["uid"],
    )


def user_object(record: ScimUserRecord, kept: Kept, before: ScimUserRecord | None) -> Body:
    """Return the object, or the patch of it if `before` is what it keeps now. `spec.suspend` is in a patch only if the user was activated,
    deactivated or deleted: a responder's own suspension stays. Raises InvalidInput."""
    known: Body = {"provider": record.provider, "modified": record.modified}
    known |= {"deleted": True} if record.deleted else {"user": record.user, "groups": dict(record.groups)}
    known |= {"held": True} if record.held and not record.active else {}
    stays = before is not None and before.active == record.active and not record.deleted
    suspend = {} if stays else {"suspend": record.held or not record.active}
    attributes = _attributes(record, kept)
    spec = {"user": {"issuer": record.issuer, "subject": record.subject}, "attributes": attributes, **suspend}
    body = _object(
        {"apiVersion": API_VERSION, "kind": "UserAttributes"}, record.name, known, None if before is None else before.version
    ) | {"spec": spec}
    try:
        parse(UserAttributes, {**body, "metadata": {"name": record.name}})
    except InvalidInput as error:
        if record.active or not attributes:
            raise InvalidInput("", f"the user cannot be kept: {error}; see spec.scim of IdentityProvider {record.provider}") from error
        return {**body, "spec": {**spec, "attributes": []}}  # a deactivation is not refused for what else is known of the user
    return body


def group_object(record: ScimGroupRecord) -> Body:
    known = {"provider": record.provider, "displayName": record.display_name, "modified": record.modified}
    known |= {} if record.external_id is None else {"externalId": record.external_id}
    return _object({"apiVersion": "v1", "kind": "ConfigMap"}, record.name, known, record.version or None)


def user_document(record: ScimUserRecord, location: str) -> Document:
    """Return the user as SCIM shows it."""
    schemas = [USER_SCHEMA, *([ENTERPRISE_SCHEMA] if ENTERPRISE_SCHEMA in record.user else [])]
    groups = [{"value": name, "display": display} for name, display in sorted(record.groups.items())]
    shown = {"schemas": schemas, "id": record.name, **record.user, "active": record.active}
    return shown | ({"groups": groups} if groups else {}) | {"meta": _meta("User", record, location)}


def group_document(record: ScimGroupRecord, members: list[str] | None, location: str, users: str) -> Document:
    """Return the group as SCIM shows it. `members` is None if they were not asked for. `users` is the location of all users."""
    shown: Document = {"schemas": [GROUP_SCHEMA], "id": record.name, "displayName": record.display_name}
    shown |= {} if record.external_id is None else {"externalId": record.external_id}
    shown |= {"members": [{"value": each, "$ref": f"{users}/{each}", "type": "User"} for each in members]} if members else {}
    return shown | {"meta": _meta("Group", record, location)}


def _meta(kind: str, record: ScimUserRecord | ScimGroupRecord, location: str) -> Document:
    return {"resourceType": kind, "created": record.created, "lastModified": record.modified or record.created, "location": location}


def _attributes(record: ScimUserRecord, kept: Kept) -> list[Body]:
    if record.deleted:
        return []
    found = [{"key": key, "values": values} for key, values in kept.values(record.user)]
    if kept.scim.groups is not None and record.groups:
        found.append({"key": kept.scim.groups.key, "values": sorted(set(record.groups.values()))})
    return found


def _object(kind: Body, name: str, known: Mapping[str, Any], version: str | None) -> Body:
    text = json.dumps(known, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    metadata: Body = {"name": name, "labels": {MANAGED_BY: SCIM_MANAGER}, "annotations": {SCIM_ANNOTATION: text}}
    return {**kind, "metadata": metadata | ({} if version is None else {"resourceVersion": version})}


def _known(body: Body) -> Body | None:
    metadata = body["metadata"]
    if metadata.get("labels", {}).get(MANAGED_BY) != SCIM_MANAGER:
        return None
    try:
        known = json.loads(metadata.get("annotations", {})[SCIM_ANNOTATION])
    except (KeyError, ValueError):
        return None
    return known if isinstance(known, dict) else None
