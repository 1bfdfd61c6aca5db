"""What `rolevend policy check` found, for a person, for a program, and for the files' lines in a pull request on GitHub."""

from typing import Any

from rolevend.policytools.check import Checked, Diagnostic


def as_text(checked: Checked) -> str:
    lines = [f"{each.place}: {each.level}: {_said(each)}" for each in checked.diagnostics]
    warnings = len(checked.diagnostics) - checked.errors
    counts = f"{_count(checked.errors, 'error')}, {_count(warnings, 'warning')}"
    return "\n".join([*lines, f"{_count(checked.files, 'file')}, {_count(checked.objects, 'object')}: {counts}"])


def as_github(checked: Checked) -> str:
    """Workflow commands: GitHub shows each at its line, and what was not judged above the files."""
    lines = [
        f"::{each.level} file={_property(each.place.file)},line={each.place.line},col={each.place.column},"
        f"title={_property(each.object or 'rolevend policy check')}::{_message(_located(each))}"
        for each in checked.diagnostics
    ]
    return "\n".join([*lines, *(f"::notice title=rolevend policy check::{_message(note)}" for note in checked.notes)])


def as_json(checked: Checked) -> dict[str, Any]:
    return {
        "files": checked.files,
        "objects": checked.objects,
        "errors": checked.errors,
        "diagnostics": [
            {
                "file": each.place.file,
                "line": each.place.line,
                "column": each.place.column,
                "level": each.level,
                "object": each.object,
                "field": each.field,
                "message": each.message,
            }
            for each in checked.diagnostics
        ],
        "notes": list(checked.notes),
    }


def _said(each: Diagnostic) -> str:
    return f"{each.object}: {_located(each)}" if each.object else _located(each)


def _located(each: Diagnostic) -> str:
    return f"{each.field}: {each.message}" if each.field else each.message


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
