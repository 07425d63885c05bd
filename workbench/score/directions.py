"""Which end of each generation score is the good one, and the name of the reconstruction score.

Imports nothing heavy, so that pages and tables can use it.
"""

from __future__ import annotations

from collections.abc import Mapping

ACCURACY = "reconstruction.token_accuracy"
# Scores not listed here have no good end.
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
