"""`python -m demo`, which `make demo` runs."""

import sys

import click

from demo.telling import Teller
from rolevend.cli import main


@click.command()
@click.option("--dev", is_flag=True, help="Leave everything up until Ctrl-C, and print what to try.")
@click.option(
    "--break",
    "broken",
    type=click.Choice(["row-security", "mask", "fence", "guardrail", "expiry", "approval", "crm-view", "crm-role"]),
    help="Break one thing behind rolevend's back: a check must fail.",
)
@click.option("--claims", type=click.IntRange(1000), default=100_000, show_default=True, help="How many claims to load.")
@click.option("--brief", is_flag=True, help="Print the checked facts alone, without commands, SQL, tables and answers.")
@click.option("--step", is_flag=True, help="On a terminal, wait for Enter before each act. The roles of the story live for ten minutes.")
def demo(*, dev: bool, broken: str | None, claims: int, brief: bool, step: bool) -> None:
    """Show the main job on a real control plane and a real PostgreSQL, started here and ended again.

    An agent gets a role for each of two people, asks both the same question, tries to get out, asks for one of them with a purpose that
    policies know, loses the roles (by time, by release, by a change of policy), and asks for more with approval. Every line is checked
    against the database before it is printed. The exit status is 1 if a check fails, or if none notices what was broken on purpose.
    """
    if dev and broken:
        raise click.UsageError("--break shows that a check fails, and --dev checks nothing: leave one of them out")
    tell = Teller(sys.stdout, brief=brief and not dev, step=step)
    tell.title("rolevend: a short-lived, least-privilege database role for an agent that acts for a person")
    from demo.story import run  # takes a second: the title comes first

    sys.exit(run(tell, dev=dev, broken=broken, claims=claims))


if __name__ == "__main__":
    main(demo)
