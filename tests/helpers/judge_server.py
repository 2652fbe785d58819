"""A small real judge on 127.0.0.1: it says yes where the reference stands in the candidate's answer."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response

from seal_env.tasks.knowledge.grading.exact_match import normalise
from tests.helpers.servers import Body, OpenAIServer, chat, error


class JudgeServer(OpenAIServer):
    """knows_schema False: requests with a schema are refused. length_field: any other one is refused."""

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.knows_schema, self.length_field = True, "max_tokens"
        self.serve("chat/completions", self._judge)

    @property
    def asked(self) -> list[Body]:
        """What was asked about so far, in order of arrival."""
        return [json.loads(body["messages"][-1]["content"]) for body in self.seen]

    def _judge(self, body: Body) -> Response:
        if self.length_field not in body:
            return error(400, f"use {self.length_field} instead")
        if "response_format" in body and not self.knows_schema:
            return error(400, "unknown: response_format")
        asked = json.loads(body["messages"][-1]["content"])
        said = "yes" if normalise(asked["reference"]) in normalise(asked["candidate"]) else "no"
        return chat(content=json.dumps({"verdict": said}) if "response_format" in body else f"{said.title()}.")
