"""``gainstage explain``."""

from __future__ import annotations

import click


@click.command()
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Say what a finding means, why it happens, and what to try.

    Without CODE, list all codes.
    """
    from gainstage.diagnosis import RULES

    if code is None:
        width = max(map(len, RULES))
        for name, rule in RULES.items():
            click.echo(f"{name:<{width}}  {rule.title}")
        return
    click.echo(f"{code}: {RULES[code].manual}".replace("``", "`"))
