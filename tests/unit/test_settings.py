"""Settings come from the environment: names of ours, values that suit production, and an error that names what is wrong."""

import pytest

from rolevend.errors import InvalidInput
from rolevend.settings import Settings


def test_without_an_environment_everything_has_a_value():
    settings = Settings.from_environment({})

    assert settings.namespace == "rolevend-system"
    assert settings.kubeconfig is None


def test_values_are_read_by_name_and_what_belongs_to_others_is_passed_over():
    environment = {"ROLEVEND_SWEEP_SECONDS": "0.5", "ROLEVEND_PROBE_PORT": "0", "ROLEVEND_ADMIN_DSN": "x", "HOME": "/root"}

    settings = Settings.from_environment(environment)

    assert (settings.sweep_seconds, settings.probe_port) == (0.5, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROLEVEND_SWEEP_SECONDS", "often"),
        ("ROLEVEND_SWEEP_SECONDS", "0"),
        ("ROLEVEND_PROBE_PORT", "65536"),
        ("ROLEVEND_LOG_LEVEL", "LOUD"),
        ("ROLEVEND_PLATFORM_WORKERS", "0"),
        ("ROLEVEND_NAMESPACE", ""),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_variable(name: str, value: str):
    with pytest.raises(InvalidInput, match=name):
        Settings.from_environment({name: value})
