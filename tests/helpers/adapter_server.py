"""A small real server with adapters, as vLLM has them: transformers and PEFT behind OpenAI's completions."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from werkzeug import Response

from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from tests.helpers.servers import Body, OpenAIServer, as_json, error


class AdapterServer(OpenAIServer):
    """Serves a base model and whatever adapters are loaded. loaded: the paths of all adapters ever, by name."""

    def __init__(self, base: FrozenLM) -> None:
        super().__init__(models=())
        self.models = [{"id": "base", "max_model_len": base.max_tokens}]
        self.loaded: dict[str, Path] = {}
        self.asked: list[str] = []
        self._base, self._adapters, self._gpu = base, {"base": base.model}, threading.Lock()
        self.serve("completions", self._complete)
        self.serve("load_lora_adapter", self._load)
        self.serve("unload_lora_adapter", self._unload)

    @property
    def names(self) -> list[str]:
        """What can be asked now."""
        return list(self._adapters)

    def _load(self, body: Body) -> Response:
        name, path = body["lora_name"], Path(body["lora_path"])
        if name in self.loaded:
            return error(400, f"The lora adapter '{name}' has already been loaded.")
        if not (path / "adapter_config.json").is_file():
            return error(404, f"No adapter found for {path}")
        with self._gpu, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._adapters[name] = PeftModel.from_pretrained(share(self._base.model), str(path)).eval()
        self.loaded[name] = path
        self.models.append({"id": name, "parent": "base"})
        return Response("Success", content_type="text/plain")

    def _unload(self, body: Body) -> Response:
        if self._adapters.pop(body["lora_name"], None) is None:
            return error(404, "no such adapter")
        self.models = [model for model in self.models if model["id"] != body["lora_name"]]
        return Response("Success", content_type="text/plain")

    def _complete(self, body: Body) -> Response:
        model = self._adapters.get(body["model"])
        if model is None:
            return error(404, f"The model `{body['model']}` does not exist.")
        if len(body["prompt"]) + body["max_tokens"] > self._base.max_tokens:
            return error(400, "This model's maximum context length is exceeded.")
        with self._gpu:
            self.asked.append(body["model"])
            written = self._greedy(model, body["prompt"], body["stop_token_ids"], body["max_tokens"])
        ended = written[-1] in body["stop_token_ids"]
        text = self._base.tokenizer.decode(
            written[:-1] if ended else written, skip_special_tokens=body["skip_special_tokens"]
        )
        choice = {"index": 0, "text": text, "finish_reason": "stop" if ended else "length"}
        counts = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(written)}
        return as_json({"id": "1", "object": "text_completion", "choices": [choice], "usage": counts})

    def _greedy(self, model: Any, prompt: list[int], stops: list[int], most: int) -> list[int]:
        with torch.no_grad():
            ids = model.generate(
                input_ids=torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False,
                max_new_tokens=most,
                eos_token_id=stops,
                pad_token_id=stops[0],
            )
        written: list[int] = ids[0, len(prompt) :].tolist()
        return written
