"""The probes for hidden rows: the same each time, every part in use, and two guesses of one form."""

import re

import pytest

from rolevend.platforms.postgres.attest.environment import PROBED
from rolevend.platforms.postgres.attest.probe_words import FORMS, JOINS, MODES, OF_TYPES, POSITIONS, SCANS, SENTINELS, SETTINGS, WORKERS
from rolevend.platforms.postgres.attest.probes import ProbedView, probes
from rolevend.platforms.postgres.attest.probing import CHECKS, COUNT
from tests.support.hidden_columns import COLUMNS

EVERYTHING = ProbedView("probed", COLUMNS)


def test_they_are_the_same_each_time_and_others_with_another_seed():
    first = list(probes(EVERYTHING, 50))
    assert list(probes(EVERYTHING, 50)) == first
    assert list(probes(EVERYTHING, 20)) == first[:20]
    assert list(probes(EVERYTHING, 50, seed=17)) != first


def test_so_few_as_an_attestation_runs_have_every_column_sentinel_mode_scan_join_and_workers_among_them():
    names = [probe.name for probe in probes(PROBED, COUNT)]
    for part in (SENTINELS, MODES, SCANS, JOINS, WORKERS):
        assert [word for word in part if word and not any(re.search(rf"[(,] ?{re.escape(word)}[,)]", name) for name in names)] == []
    assert {probe.column for probe in probes(PROBED, COUNT)} == set(PROBED.columns)
    assert len(CHECKS) == 3


def test_many_have_every_position_and_setting_among_them():
    names = " ".join(probe.name for probe in probes(EVERYTHING, 400))
    assert [word for word in (*POSITIONS, *SETTINGS) if word not in names] == []


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.type)
def test_both_guesses_have_one_form_and_differ(column):
    conditions = column.conditions(3)
    assert len(conditions) >= 5
    assert all(hit != miss and "{" not in re.sub(r"'[^']*'", "", hit + miss) for hit, miss in conditions)


def test_every_form_of_a_type_belongs_to_a_column():
    assert {"nothing", *(column.type for column in COLUMNS)} >= set(OF_TYPES)
    assert len(set(FORMS)) == len(FORMS)


def test_a_script_holds_the_guess_and_no_word_that_was_not_replaced():
    for probe in probes(EVERYTHING, 300):
        for guess in probe.guesses:
            script = " ".join(probe.script(guess))
            assert guess in script.replace("''", "'")
            assert not re.search(r"\{\w+\}", re.sub(r"'[^']*'", "", script)), script
