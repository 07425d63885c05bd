"""Released GPT-2 weights as a writer of corpus tokens: read, never trained.

The corpus must be cut by the model's own tokeniser; of the vocabulary the pieces that the corpus
keeps remain, so that the next token is drawn from them alone. End-of-text is the model's own. The
corpus's unknown token, which the model does not have, reads as the mean embedding and is never
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.configs.generators import TokenNetworkConfig
from models.configs.teacher import HF_PREFIX
from models.generators.gpt2 import GPT2, from_transformers
from models.teachers.pretrained import find_model
from models.teachers.weights import load_base_model

UNKNOWN = 1  # the corpus's id of what its vocabulary lacks
NEVER = -1e4


class ReleasedGPT2(GPT2):
    """A `GPT2` whose head leaves out the unknown token."""

    def head(self) -> tuple[Tensor, Tensor]:
        weight, bias = super().head()
        return weight, bias.index_fill(0, torch.tensor([UNKNOWN], device=bias.device), NEVER)

    @classmethod
    def from_released(
        cls, name: str, kept_ids: Sequence[int], pieces: Sequence[str], window: int
    ) -> ReleasedGPT2:
        """Read `hf:<model id or directory>` for the tokens of a corpus.

        Args:
            name: The model.
            kept_ids: Its ids of the corpus's tokens from 2 on.
            pieces: The same tokens as the corpus's tokeniser spells them.
            window: Longest text in tokens.

        Raises:
            ValueError: The weights are missing or damaged, are not GPT-2's, have other tokens, or
                too few positions.
        """
        directory = find_model(name.removeprefix(HF_PREFIX))
        refuse_other_tokens(name, directory, kept_ids, pieces)
        model = load_base_model(directory, name, torch.float32)
        known = model.config
        if known.model_type != "gpt2" or known.activation_function != "gelu_new":
            raise ValueError(f"model {name} is {known.model_type}, not a GPT-2")
        if known.n_positions < window + 1:
            raise ValueError(
                f"model {name} has {known.n_positions} positions; the corpus's window of {window} "
                "needs one more than its length"
            )
        end = known.eos_token_id
        if not isinstance(end, int) or not 0 <= end < known.vocab_size:
            raise ValueError(f"model {name} has no end-of-text token: eos_token_id is {end}")
        sizes = TokenNetworkConfig(
            vocab_size=len(kept_ids) + 2,
            window=window,
            width=known.n_embd,
            layers=known.n_layer,
            heads=known.n_head,
            mlp_ratio=(known.n_inner or 4 * known.n_embd) / known.n_embd,
        )
        weights = from_transformers(model.state_dict())
        table = weights["wte.weight"]
        kept = table[torch.as_tensor(kept_ids)]
        special = torch.stack([table[end], table.mean(dim=0)])
        weights["wte.weight"] = torch.cat([special, kept])
        weights["wpe.weight"] = weights["wpe.weight"][: window + 1]
        released = cls(sizes)
        released.load_state_dict(weights)
        return released.eval()


def refuse_other_tokens(
    name: str, directory: Path, kept_ids: Sequence[int], pieces: Sequence[str]
) -> None:
    """Refuse a model whose ids of the corpus's pieces are not those of the corpus's tokeniser.

    Raises:
        ValueError: naming the first piece that differs.
    """
    from tokenizers import Tokenizer

    file = directory / "tokenizer.json"
    if not file.is_file():
        raise ValueError(f"model {name}: {file} is missing, so its tokens cannot be compared")
    own = Tokenizer.from_file(str(file))
    for original, piece in zip(kept_ids, pieces, strict=True):
        if own.id_to_token(int(original)) != piece:
            raise ValueError(
                f"model {name} has other tokens than the corpus: its id {original} is "
                f"{own.id_to_token(int(original))!r}, there it is {piece!r}; set teacher.name to "
                f"{name}, so that the corpus is cut by the model's own tokeniser"
            )
