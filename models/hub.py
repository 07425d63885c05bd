"""Saving and loading of models as a config in JSON and weights in safetensors.

The Hub's own mixin falls back to pickled weights, skips unknown configuration keys and forgives
missing tensors; this one refuses all three.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin, constants, hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

MODEL_CARD = """---
{{ card_data }}
---
# {{ model_name | default("Latent geometry workbench model", true) }}

Trained by the latent geometry workbench. Load it with `from_pretrained`; time runs from 0 (noise)
to 1 (data).

## Scores
{{ metrics | default("No scores are stored with these weights.", true) }}
"""


class PretrainedMixin(
    PyTorchModelHubMixin, library_name="latent-geometry-workbench", model_card_template=MODEL_CARD
):
    """`save_pretrained` and `from_pretrained` for a module built from `config_type` alone.

    `save_pretrained(directory, model_card_kwargs={"metrics": markdown})` puts scores on the card.
    """

    config_type: type

    def _save_pretrained(self, save_directory: Path) -> None:
        assert isinstance(self, nn.Module)
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, save_directory / constants.SAFETENSORS_SINGLE_FILE)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        map_location: str = "cpu",
        strict: bool = True,
        config: Any = None,
        **model_kwargs: Any,
    ) -> Self:
        if not strict or model_kwargs:
            raise ValueError(f"from_pretrained is strict and takes no {sorted(model_kwargs)}")
        name = constants.SAFETENSORS_SINGLE_FILE
        weights = os.path.join(model_id, name)
        if not os.path.isdir(model_id):
            weights = hf_hub_download(
                repo_id=model_id,
                filename=name,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        with torch.random.fork_rng(devices=[]):
            model = cls(_read_config(cls.config_type, config, model_id))
        _load_weights(model, weights, map_location)
        return model


def _read_config(config_type: type, config: Any, model_id: str) -> Any:
    if config is None:
        raise ValueError(f"{model_id}: no {constants.CONFIG_NAME} beside the weights")
    if isinstance(config, config_type):
        return config
    unknown = sorted(set(config) - {field.name for field in fields(config_type)})
    if unknown:
        raise ValueError(
            f"{model_id}/{constants.CONFIG_NAME}: unknown keys {', '.join(unknown)} "
            f"for {config_type.__name__}"
        )
    return config_type(**config)


def _load_weights(model: Any, path: str, map_location: str) -> None:
    """Load all tensors, on `map_location`, and put the model in evaluation mode.

    Raises:
        ValueError: naming the file when it is missing, damaged or does not fit the config.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path}: file not found")
    try:
        tensors = load_file(path, device=map_location)
        model.to(map_location).load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: weights do not load: {reason}") from error
    model.eval()
