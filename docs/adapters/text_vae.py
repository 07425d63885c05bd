"""Adapter of a text VAE saved as `config.json` and `model.safetensors`, 16 channels per token.

    python -m workbench encode demo --adapter docs/adapters/text_vae.py --model FOLDER --arm other

The folder is what `save_pretrained` of `models.text_vae.TextVAE` writes, with the tokeniser that it
was trained with in `tokenizer/`. For another class of the same kind, a posterior per token and a
decoder that reads it back (Cola DLM's, say), change `load` and the two calls of the model.
"""

from pathlib import Path

import numpy as np
import torch

from data.tokenization import CompactTokenizer
from models.text_vae import TextVAE


class Autoencoder:
    """Posterior means and spreads, and the decoder."""

    def __init__(self, folder):
        self.vae = TextVAE.from_pretrained(folder).eval()
        self.tokenizer = CompactTokenizer.load(Path(folder) / "tokenizer")

    @torch.no_grad()
    def encode(self, texts):
        window = self.vae.config.window
        rows = self.tokenizer.encode_batch(texts)
        ids = np.full((len(texts), window), self.tokenizer.eot_id)
        mask = np.zeros(ids.shape, bool)
        for i, row in enumerate(rows):
            n = min(len(row.token_ids), window)
            ids[i, :n], mask[i, :n] = row.token_ids[:n], True
        posterior = self.vae.encode(torch.from_numpy(ids))
        std = (0.5 * posterior.logvar).exp()
        return posterior.mu.numpy(), mask, [row.offsets[:window] for row in rows], std.numpy()

    @torch.no_grad()
    def logits(self, z, mask):
        return self.vae.decode(torch.from_numpy(z)).numpy()

    def decode(self, z, mask):
        ids = self.logits(z, mask).argmax(-1)
        return [self.tokenizer.decode(row[kept]) for row, kept in zip(ids, mask, strict=True)]


def load(model):
    return Autoencoder(model)
