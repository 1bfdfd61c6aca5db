"""Output of `rolevend policy check` as text, as JSON, and as annotations of a pull request on GitHub."""

from collections.abc import Iterable, Sequence
from typing import Any

from rolevend.policytools.check import Checked, Diagnostic
from rolevend.text_table import Form


def as_text(checked: Checked) -> str:
    """Return a line for each error, and one for all warnings of an object or file that say the same."""
    lines = [f"{first.place}: {first.level}: {_diagnostic_text(first)}{_also(others)}" for first, *others in _alike(checked.diagnostics)]
    warnings = len(checked.diagnostics) - checked.errors
    counts = f"{_count(checked.errors, 'error')}, {_count(warnings, 'warning')}"
    return "\n".join([*lines, f"{_count(checked.files, 'file')}, {_count(checked.objects, 'object')}: {counts}"])


def as_github(checked: Checked) -> str:
    """Return workflow commands: GitHub shows each at its line, and notes above the files."""
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


def _alike(diagnostics: Sequence[Diagnostic]) -> Iterable[list[Diagnostic]]:
    alike: dict[object, list[Diagnostic]] = {}
    for each in diagnostics:
        key = each if each.level == "error" else (each.place.file, each.object, each.message)
        alike.setdefault(key, []).append(each)
    return alike.values()


def _also(others: Sequence[Diagnostic]) -> str:
    lines = list(dict.fromkeys(str(each.place.line) for each in others))
    return f" (also in {'line' if len(lines) == 1 else 'lines'} {', '.join(lines)})" if lines else ""


def _diagnostic_text(each: Diagnostic) -> str:
    return f"{each.object}: {_located(each)}" if each.object else _located(each)


def _located(each: Diagnostic) -> str:
    return f"{each.field}: {each.message}" if each.field else each.message


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def noted(text: str, notes: Sequence[str], form: Form) -> str:
    """Return the text, followed by notes on what it leaves out, so that a part is not taken for the whole."""
    if not notes:
        return text
    return "\n".join(
        [text, *([""] if form == "markdown" else []), *(f"{'* ' if form == 'markdown' else ''}note: {each}" for each in notes)]
    )
