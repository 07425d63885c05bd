"""Adapter of ELF's latents: the last states of a frozen T5 encoder, scaled by one number.

    python -m workbench encode demo --adapter docs/adapters/elf_t5.py --model T5_FOLDER --arm elf

The folder holds `config.json`, `model.safetensors` and `tokenizer.json`. T5 cannot write its input
back, so there is no `decode`.
"""

import torch
from transformers import AutoTokenizer, T5EncoderModel

SCALE = 0.2  # the scale that the generator was trained at; probes of shape do not depend on it


class FrozenT5:
    """States of a T5 encoder, one per piece, without the end mark."""

    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model, report = T5EncoderModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        if report["missing_keys"]:
            raise ValueError(f"{folder}: lacks {sorted(report['missing_keys'])[0]}")
        self.model.eval()

    @torch.no_grad()
    def encode(self, texts):
        batch = self.tokenizer(
            texts, padding=True, return_tensors="pt", return_offsets_mapping=True
        )
        keep = batch["attention_mask"].bool()
        states = self.model(input_ids=batch["input_ids"], attention_mask=keep).last_hidden_state
        spans = batch["offset_mapping"]
        mask = keep & (spans[..., 1] > spans[..., 0])  # marks stand for no character
        offsets = [rows[kept].numpy() for rows, kept in zip(spans, mask, strict=True)]
        return (states * SCALE).numpy(), mask.numpy(), offsets


def load(model):
    return FrozenT5(model)
