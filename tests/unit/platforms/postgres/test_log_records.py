"""Records of vended roles, from logs that are cut, damaged, hostile or very long."""

import io
import json

import pytest

from rolevend.platforms.postgres.log_records import MAX_RECORD_BYTES, LogFormat, LogRecords, format_of
from tests.support.pglogs import OTHER_ROLE, ROLE, TIME, as_csv, as_json, record

FORMATS = {LogFormat.CSVLOG: as_csv, LogFormat.JSONLOG: as_json}


@pytest.fixture(params=list(FORMATS), ids=str)
def log_format(request: pytest.FixtureRequest) -> LogFormat:
    return request.param


def messages(records: LogRecords) -> list[str]:
    return [each["message"] for each in records]


def reading(log_format: LogFormat, raw: bytes, position: int = 0) -> LogRecords:
    return LogRecords(io.BytesIO(raw[position:]), log_format, position)


def test_a_record_is_read_as_it_was_written(log_format: LogFormat):
    hostile = 'statement: SELECT "a",\n\'b\'\r\n\x1b[2J \u202e {"} \\ Grüße'
    written = record(hostile, application_name="psql", vxid="3/1", detail="Parameters: $1 = 'x'")
    raw = FORMATS[log_format](record("statement: SELECT 1", user="somebody"), written)

    (found,) = reading(log_format, raw)

    assert {name: found[name] for name in written} == written
    assert format_of(raw) is log_format


def test_a_reader_continues_after_the_last_complete_record(log_format: LogFormat):
    first, second = (FORMATS[log_format](record(f"statement: SELECT\n{number}")) for number in (1, 2))
    for cut in range(1, len(second)):
        records = reading(log_format, first + second[:-cut])
        assert messages(records) == ["statement: SELECT\n1"]
        assert records.position == len(first)
        assert records.open_end is (cut < len(second))
        again = reading(log_format, first + second, records.position)
        assert messages(again) == ["statement: SELECT\n2"]
        assert (again.position, again.open_end, again.cut) == (len(first + second), False, 0)


def test_a_record_that_was_cut_off_spoils_at_most_the_record_behind_it(log_format: LogFormat):
    encode = FORMATS[log_format]
    whole = encode(record("statement: SELECT\n1"))
    after = encode(record("statement: SELECT 2"), record("statement: SELECT 3"))
    for cut in range(2, len(whole) - 1):
        records = reading(log_format, whole[:-cut] + b"\n" + after)
        assert messages(records)[-2:] == ["statement: SELECT 2", "statement: SELECT 3"]
        assert messages(reading(log_format, whole[:-cut] + after))[-1] == "statement: SELECT 3"


def test_a_statement_cannot_imitate_a_record_not_even_behind_one_that_was_cut_off():
    real = as_csv(record("statement: DROP TABLE x", user=OTHER_ROLE)).decode()
    bare = real.replace('"', "")
    forging = as_csv(record(f"statement: SELECT 1 /*\n{real}\n{bare}\n*/"), record("statement: SELECT 2"))

    for raw in (forging, as_csv(record("statement: SELECT 0"))[:-40] + b"\n" + forging):
        assert {each["user"] for each in reading(LogFormat.CSVLOG, raw)} == {ROLE}
    for begin in range(len(forging)):
        assert OTHER_ROLE not in {each["user"] for each in reading(LogFormat.CSVLOG, forging[begin:])}


@pytest.mark.parametrize("detail", ["", "parameters: $1 = 'x'", ',"y",12', ',"",12,', ",,12,", '"y",12'])
def test_a_statement_that_ends_like_the_beginning_of_a_record_is_read(detail: str):
    """The quote behind it ends the field, and is no quote of a user's name."""
    hiding = record(f"statement: SELECT 1 /*\n{TIME},", detail=detail, application_name="psql", backend_type="client backend")
    others = [record(f"statement: SELECT {number}", backend_type="client backend") for number in (2, 3)]

    records = reading(LogFormat.CSVLOG, as_csv(hiding, *others))

    assert messages(records) == [hiding["message"], *(each["message"] for each in others)]
    assert records.cut == 0


@pytest.mark.parametrize("hint", [",1", ",1,", ',1,"x",1.1,1', ",1,,1.1,1,", ",7,[local],1.1,1,"])
def test_an_error_whose_fields_look_like_the_beginning_of_a_record_is_read(hint: str):
    """RAISE lets a statement choose message, detail and hint, and nothing behind them."""
    chosen = {"detail": ",", "hint": hint, "context": "PL/pgSQL function inline_code_block line 1 at RAISE", "statement": "DO ''"}
    raised = record(f"x\n{TIME},", error_severity="ERROR", application_name=",1", backend_type="client backend", **chosen)
    others = [record(f"statement: SELECT {number}", backend_type="client backend") for number in (2, 3)]

    records = reading(LogFormat.CSVLOG, as_csv(raised, *others))

    assert messages(records) == [each["message"] for each in (raised, *others)]
    assert records.cut == 0


def test_of_a_very_long_record_the_beginning_is_kept_and_the_next_one_is_whole(log_format: LogFormat):
    long = "statement: SELECT '" + 'x"\n' * MAX_RECORD_BYTES + "'"
    raw = FORMATS[log_format](record(long), record("statement: SELECT 2"))

    records = reading(log_format, raw)
    first, second = records

    assert first["user"] == ROLE
    assert long.startswith(first["message"])
    assert len(first["message"]) > MAX_RECORD_BYTES // 4
    assert second["message"] == "statement: SELECT 2"
    assert (records.long, records.cut, records.position) == (1, 0, len(raw))


@pytest.mark.parametrize("filler", ["x", "ü", "\\", '"', "\x01", "\U0001f600"])
def test_a_very_long_record_may_be_cut_anywhere(log_format: LogFormat, filler: str):
    for shift in range(12):
        text = "statement: " + "-" * shift + filler * (MAX_RECORD_BYTES // len(filler.encode()) + 10)
        (found,) = reading(log_format, FORMATS[log_format](record(text)))
        assert found["message"].startswith("statement: " + "-" * shift)


def test_bytes_that_are_no_utf_8_are_shown_and_counted(log_format: LogFormat):
    raw = FORMATS[log_format](record("statement: SELECT '@'")).replace(b"@", b"\xff\xc3")

    records = reading(log_format, raw)
    (found,) = records

    assert found["message"] == "statement: SELECT '\\xff\\xc3'"
    assert records.not_text == 1


def test_a_lone_surrogate_of_json_can_be_printed():
    raw = as_json(record("statement: @")).replace(b"@", rb"\ud800 \udc41")

    (found,) = reading(LogFormat.JSONLOG, raw)

    assert found["message"] == "statement: \\ud800 \\udc41"
    found["message"].encode()


@pytest.mark.parametrize("line", [b"\0" * 512, b"[1]", b'{"user": 1}', f'["{ROLE}"]'.encode(), f'"{ROLE}'.encode(), f"{ROLE},,".encode()])
def test_garbage_is_skipped(log_format: LogFormat, line: bytes):
    encode = FORMATS[log_format]
    raw = encode(record("statement: SELECT 1")) + line + b"\n" + encode(record("statement: SELECT 2"), record("statement: SELECT 3"))

    assert messages(reading(log_format, raw))[0] == "statement: SELECT 1"
    assert messages(reading(log_format, raw))[-1] == "statement: SELECT 3"


def test_other_text_is_no_log():
    for text in (b"", b"{}", b"2026-11-24 12:00:00.000 UTC [17] LOG:  statement\n", b"\0\0", b"\x7fELF"):
        assert format_of(text) is None
    assert format_of(f"{TIME},,,17,,1,1,,{TIME},,0,LOG,00000,started,,,,,,,,,,postmaster,,0\n".encode()) is LogFormat.CSVLOG
    assert format_of(json.dumps({"timestamp": TIME}).encode()) is LogFormat.JSONLOG
