"""The name of the reconstruction score, and which end of each generation score is the good one.

Light to import, for pages and tables.
"""

from __future__ import annotations

from collections.abc import Mapping

ACCURACY = "reconstruction.token_accuracy"
# Scores left out have no good end by themselves.
HIGHER_IS_BETTER: Mapping[str, bool] = {
    "rouge1": True,
    "rouge2": True,
    "rougeL": True,
    "embedding_f1": True,
    "valid_2gram": True,
    "valid_3gram": True,
    "valid_4gram": True,
    "nats_per_token": False,
    "repetition": False,
    "fidelity": True,
    "contradiction": False,
    "ended": True,
}
