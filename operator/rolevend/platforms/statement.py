"""A statement that a role ran, in the platform's record."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that the role sent, successful or not."""

    time: str
    """In the platform's format: the start, or the end if only the duration is recorded. PostgreSQL: in the time zone of its log."""
    database: str
    session: str
    """The platform's id of the session."""
    client: str
    application: str
    """The session's own label: PostgreSQL's application_name, Snowflake's QUERY_TAG."""
    text: str
    parameters: str | None = None
    """`$1 = '42', $2 = NULL`, for a prepared statement; only the values as CSV if they come from pgaudit alone."""
    milliseconds: float | None = None
    """The duration, if it was logged."""
    error: str | None = None
    """The platform's code and message, if it failed."""
    relations: tuple[str, ...] = ()
    """`TABLE claims.people`: the relations that pgaudit saw it read, also through views."""


def plain(text: str) -> str:
    """Return the text with control characters and invisible ones escaped: a person reads it in a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
