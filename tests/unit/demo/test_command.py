"""The options of `python -m demo`."""

from click.testing import CliRunner

from demo.__main__ import demo


def test_dev_and_break_exclude_each_other():
    answer = CliRunner().invoke(demo, ["--dev", "--break", "mask"])

    assert answer.exit_code == 2
    assert "Error: --break shows that a check fails, and --dev checks nothing" in answer.output
