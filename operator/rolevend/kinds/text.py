"""The strings and numbers of the kinds, with their bounds and error messages. The patterns mean the same to the API server (Go, RE2) and
to pydantic (Rust): no look-around, no back references."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, StringConstraints

_CONTROL: Final = r"\p{Cc}\p{Zl}\p{Zp}"
_BIDI: Final = r"\x{061C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}"
_INVISIBLE: Final = rf"{_CONTROL}\p{{Cf}}"
_BLANK: Final = r"\p{Z}\p{Cc}\p{Cf}"

LONGEST_LABEL: Final = 63
LABEL_PATTERN: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUALIFIED_NAME_PATTERN: Final = f"{LABEL_PATTERN[:-1]}/{SUBDOMAIN_PATTERN[1:]}"
AGENT_HANDLE_PATTERN: Final = "^[A-Z0-9]{1,10}$"
USER_HANDLE_PATTERN: Final = "^[A-Z0-9]{1,11}$"
HOST_PATTERN: Final = "^[A-Za-z0-9._:-]+$"
ACCOUNT_PATTERN: Final = "^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"
DATA_KEY_PATTERN: Final = "^[-._a-zA-Z0-9]+$"
STEP_PATTERN: Final = r"^(0|[1-9][0-9]{0,14})([.][0-9]{1,6})?$"
NUMBER_PATTERN: Final = r"^-?(0|[1-9][0-9]{0,63})([.][0-9]{1,63})?$"
REASON_PATTERN: Final = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
IDENTIFIER_PATTERN: Final = f"^[^{_CONTROL}{_BIDI}]+$"
PLAIN_PATTERN: Final = rf"^[^{_BLANK}]([^{_INVISIBLE}]*[^{_BLANK}])?$"
CONSTANT_PATTERN: Final = f"^[^{_INVISIBLE}]*$"
ARGUMENTS_PATTERN: Final = "^([A-Z][A-Z0-9_]*(, [A-Z][A-Z0-9_]*)*)?$"
SHA256_PATTERN: Final = "^sha256:[0-9a-f]{64}$"
UID_PATTERN: Final = "^[-0-9A-Za-z]+$"
EXPRESSION_PATTERN: Final = rf"^([^{_CONTROL}{_BIDI}]|[\t\n\r])+$"

MEANINGS: Final = {
    LABEL_PATTERN: "must be lower-case letters, digits and '-', and begin and end with a letter or digit",
    SUBDOMAIN_PATTERN: "must be lower-case letters, digits, '-' and '.', as names of Kubernetes objects are",
    QUALIFIED_NAME_PATTERN: "must be the namespace and the name of an object of Kubernetes, with a slash between them",
    AGENT_HANDLE_PATTERN: "must be 1 to 10 characters of A-Z and 0-9",
    USER_HANDLE_PATTERN: "must be 1 to 11 characters of A-Z and 0-9",
    HOST_PATTERN: "must be one host name or IP address",
    ACCOUNT_PATTERN: "must be an account identifier, such as myorg-account123, without the domain snowflakecomputing.com",
    DATA_KEY_PATTERN: "must be letters, digits, '-', '_' and '.', as keys of Secrets are",
    STEP_PATTERN: "must be a plain number with at most 15 digits before the point and 6 after it",
    NUMBER_PATTERN: "must be a plain number in quotes, with at most 64 digits before the point and 63 after it",
    REASON_PATTERN: "must be one CamelCase word",
    IDENTIFIER_PATTERN: "must not be empty or hold control characters or bidirectional controls",
    PLAIN_PATTERN: "must not be empty, begin or end with a space, or hold control characters or invisible ones",
    CONSTANT_PATTERN: "must not hold control characters or invisible ones",
    ARGUMENTS_PATTERN: "must be types in upper case, without length, with a comma and a space between two: NUMBER, VARCHAR",
    UID_PATTERN: "must be the metadata.uid of an object: letters, digits and '-'",
    SHA256_PATTERN: "must be sha256: and 64 hexadecimal digits in lower case",
    EXPRESSION_PATTERN: "must not be empty or hold control characters or bidirectional controls; line breaks and tabs are fine",
}
"""The error message of each pattern."""

LONGEST_IDENTIFIER_BYTES: Final = 63


def _short_enough(name: str) -> str:
    # PostgreSQL silently truncates a longer name, which would then name another table.
    if len(name.encode()) > LONGEST_IDENTIFIER_BYTES:
        raise ValueError(f"must be at most {LONGEST_IDENTIFIER_BYTES} bytes long in UTF-8")
    return name


def _text(longest: int, pattern: str, shortest: int = 1) -> StringConstraints:
    return StringConstraints(strict=True, min_length=shortest, max_length=longest, pattern=pattern)


Label = Annotated[str, _text(LONGEST_LABEL, LABEL_PATTERN)]
"""A namespace, or the name of an item of a list."""
ObjectReferenceName = Annotated[str, _text(253, SUBDOMAIN_PATTERN)]
QualifiedName = Annotated[str, _text(LONGEST_LABEL + 1 + 253, QUALIFIED_NAME_PATTERN)]
"""`namespace/name`."""
AgentHandleText = Annotated[str, _text(10, AGENT_HANDLE_PATTERN)]
UserHandleText = Annotated[str, _text(11, USER_HANDLE_PATTERN)]
Host = Annotated[str, _text(253, HOST_PATTERN)]
AccountText = Annotated[str, _text(128, ACCOUNT_PATTERN)]
SecretKey = Annotated[str, _text(253, DATA_KEY_PATTERN)]
Identifier = Annotated[
    str,
    _text(LONGEST_IDENTIFIER_BYTES, IDENTIFIER_PATTERN),
    AfterValidator(_short_enough),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"size(bytes(self)) <= {LONGEST_IDENTIFIER_BYTES}",
                    "message": f"a database name must be at most {LONGEST_IDENTIFIER_BYTES} bytes long in UTF-8",
                }
            ]
        }
    ),
]
"""A name in a database, or a pattern of such names: any legal text between double quotes."""
HeldName = Annotated[str, _text(255, IDENTIFIER_PATTERN)]
"""A name of an object on a platform, with the maximum length of any platform."""
TableText = Annotated[str, StringConstraints(strict=True, max_length=1100)]
"""`schema.table` as `catalog.TableId.quoted` writes it, with names of any platform."""
ArgumentTypes = Annotated[str, _text(1024, ARGUMENTS_PATTERN, shortest=0)]
Key = Annotated[str, _text(128, PLAIN_PATTERN)]
"""The key of an attribute or tag. It has no invisible characters."""
Value = Annotated[str, _text(256, PLAIN_PATTERN)]
Issuer = Annotated[str, _text(512, PLAIN_PATTERN)]
Subject = Annotated[str, _text(255, PLAIN_PATTERN)]
PlainText = Annotated[str, _text(512, PLAIN_PATTERN)]
"""A URL, an audience or a client id of another system."""
TaskIdText = Annotated[str, _text(128, PLAIN_PATTERN)]
TicketText = Annotated[str, _text(128, PLAIN_PATTERN)]
UidText = Annotated[str, _text(64, UID_PATTERN)]
AccountName = Annotated[str, _text(512, PLAIN_PATTERN)]
UsernamePrefixText = Annotated[str, _text(512, CONSTANT_PATTERN, shortest=0)]
"""The name of a user of Kubernetes."""
DisplayText = Annotated[str, _text(200, PLAIN_PATTERN)]
"""One sentence for users and models."""
FreeText = Annotated[str, _text(500, EXPRESSION_PATTERN)]
"""A text of a person or an agent. Show it quoted and escaped."""
Sha256Text = Annotated[str, _text(71, SHA256_PATTERN)]
ClaimName = Annotated[str, _text(256, PLAIN_PATTERN)]
KeySetText = Annotated[str, _text(65536, EXPRESSION_PATTERN)]
ConstantText = Annotated[str, _text(256, CONSTANT_PATTERN, shortest=0)]
PatternText = Annotated[str, _text(256, CONSTANT_PATTERN)]
"""A regular expression."""
StepText = Annotated[str, _text(22, STEP_PATTERN)]
NumberText = Annotated[str, _text(129, NUMBER_PATTERN)]
"""A number of any type, exactly."""
Expression = Annotated[str, _text(2048, EXPRESSION_PATTERN)]
Condition = Annotated[str, _text(1024, EXPRESSION_PATTERN)]
LabelValue = Annotated[str, StringConstraints(strict=True, max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
Sentence = Annotated[str, StringConstraints(strict=True, max_length=1024)]

Seconds = Annotated[int, Field(strict=True, ge=5, le=86400, json_schema_extra={"format": "int32"})]
TokenSeconds = Annotated[int, Field(strict=True, ge=60, le=604_800, json_schema_extra={"format": "int32"})]
IdleSeconds = Annotated[int, Field(strict=True, ge=60, le=86400, json_schema_extra={"format": "int32"})]
WaitSeconds = Annotated[int, Field(strict=True, ge=5, le=604_800, json_schema_extra={"format": "int32"})]
Days = Annotated[int, Field(strict=True, ge=1, le=366, json_schema_extra={"format": "int32"})]
Count = Annotated[int, Field(strict=True, ge=0, json_schema_extra={"format": "int32"})]
RowCount = Annotated[int, Field(strict=True, ge=0, json_schema_extra={"format": "int64"})]
PositiveCount = Annotated[int, Field(strict=True, ge=1, le=1_000_000, json_schema_extra={"format": "int32"})]
ApproverCount = Annotated[int, Field(strict=True, ge=1, le=100, json_schema_extra={"format": "int32"})]
UseCount = Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})]
Generation = Annotated[int, Field(strict=True, ge=0, json_schema_extra={"format": "int64"})]


def timestamp_text(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds rounded down, as Kubernetes writes times."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


Timestamp = Annotated[AwareDatetime, PlainSerializer(timestamp_text, return_type=str, when_used="json")]
