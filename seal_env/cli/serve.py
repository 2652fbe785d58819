"""`seal-env serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.cli.experiment import chosen_env, chosen_settings, env_option, environment_options, given_settings
from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.registration import environments
from seal_env.report.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seal_env.adapters.engine import EpisodeEngine

EXAMPLES = """\b
examples:
  20 generated tasks at http://127.0.0.1:8000:
    seal-env serve --subset mini-train:20
  passages, for machines of the network:
    seal-env serve --env SEAL-Knowledge-v0 --host 0.0.0.0 --port 8011"""


def _options(values: Mapping[str, Any]) -> Sequence[click.Parameter]:
    return [
        env_option(),
        *options_of(ServerSettings, "Server"),
        *environment_options(chosen_settings(values, chosen_env(values))),
    ]


@click.pass_obj
def _serve(console: Terminal, /, **values: Any) -> int:
    settings = ServerSettings.checked(**given(values, ServerSettings))
    from seal_env.adapters.openenv.server import is_local, serve  # here: its packages are an extra

    def ready(address: str, engine: EpisodeEngine) -> None:
        tasks = len(engine.runtime.taskset)
        about = f"{chosen_env(values)}, {tasks} task{'' if tasks == 1 else 's'}, up to {settings.sessions} sessions"
        document = {"address": address, "environment": chosen_env(values), "tasks": tasks, "sessions": settings.sessions}
        if not is_local(settings.host):
            console.insist("There is no authentication: whoever reaches this address can run updates here.", "yellow")
        console.show(document, f"serving   {address} ({about})")

    serve({**environments()[chosen_env(values)], **given_settings(values)}, settings, ready)
    return 0


serve = SettingsCommand(
    "serve",
    callback=_serve,
    options=_options,
    deciding=("env", "domain"),
    help="Serve an environment by OpenEnv's protocol: sessions of many clients at once, whose updates train together. "
    "Needs the extra openenv.",
    short_help="Serve an environment by OpenEnv's protocol.",
    epilog=EXAMPLES,
)
