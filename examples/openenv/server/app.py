"""The server's app, for OpenEnv's own tools: `uvicorn server.app:app --ws-max-size 1000000`, with one worker.

SEAL_ENV_SETTINGS has the environment's settings as a JSON object, SEAL_ENV_SERVER those of the server.
"""

from __future__ import annotations

import json
import os

from seal_env.adapters.engine import load_runtime
from seal_env.adapters.openenv.server import make_app, make_engine
from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.settings import Settings

settings = ServerSettings.checked(**json.loads(os.environ.get("SEAL_ENV_SERVER", "{}")))
environment = Settings.resolve(**json.loads(os.environ.get("SEAL_ENV_SETTINGS", '{"subset": "mini-train"}')))
app = make_app(make_engine(load_runtime(environment), settings), settings)
