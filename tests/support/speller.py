"""An adapter of a few lines, with everything that an arm from outside may have but logits.

Latents are a text's characters and their places. Its generator goes straight to a sentence of its
own, named after the prompt; without a prompt it stays where it is.
"""

SPELLER = """import numpy as np

LENGTH, SCALE = 24, 32.0

def spelled(texts, length):
    codes = np.array([[ord(c) for c in text[:length].ljust(length)] for text in texts], np.float32)
    places = np.broadcast_to(np.arange(length) / LENGTH, codes.shape)
    return np.stack([codes / SCALE, places], axis=-1).astype(np.float32)

class Speller:
    latent_shape = (LENGTH, 2)

    def encode(self, texts):
        longest = max(map(len, texts))
        mask = np.arange(longest) < np.array([len(text) for text in texts])[:, None]
        spans = [np.stack([np.r_[:len(t)], np.r_[1:len(t) + 1]], 1) for t in texts]
        return spelled(texts, longest), mask, spans

    def decode(self, z, mask):
        codes = np.clip((z[..., 0] * SCALE).round(), 32, 126).astype(int)
        return ["".join(map(chr, row[kept])).rstrip() for row, kept in zip(codes, mask)]

    def velocity(self, z_t, t, prompts):
        if prompts is None:
            return np.zeros_like(z_t)
        wanted = spelled(["the dog saw " + prompt[:3] for prompt in prompts], LENGTH)
        return (wanted - z_t) / (1 - t)

def load(model):
    return Speller()
"""
