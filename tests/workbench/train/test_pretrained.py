"""Checkpoints are model repositories: `from_pretrained` loads them, the card holds numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from data.corpus_store import Corpus
from models.dit import TextDiT
from models.language_model import CausalLM
from models.text_vae import TextVAE
from workbench.machine.context import StageContext
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Study
from workbench.train.flow import load_dit, train_flow
from workbench.train.language_model import load_language_model
from workbench.train.vae import load_vae, train_vae


@pytest.mark.parametrize("arm", ["none", "repa"])
def test_a_checkpoint_loads_as_the_engine_loads_it(
    arm: str, smoke: Study, corpus: Corpus, context: StageContext
) -> None:
    run = smoke.run(arm, 0)
    pairs: list[tuple[Any, Any]] = [
        (TextVAE.from_pretrained(run.vae_dir / "step-8"), load_vae(run, context.place)),
        (TextDiT.from_pretrained(run.flow_dir / "step-8"), load_dit(run, context.place)),
        (
            CausalLM.from_pretrained(smoke.language_model_dir / "step-8"),
            load_language_model(smoke, context.place),
        ),
    ]
    for loaded, known in pairs:
        assert loaded.config == known.config
        assert not loaded.training
        state = known.state_dict()
        assert loaded.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


def test_the_loaded_vae_knows_its_normalisation(smoke: Study) -> None:
    vae = TextVAE.from_pretrained(smoke.run("none", 0).vae_dir / "step-8")
    assert not torch.equal(vae.latent_std, torch.ones_like(vae.latent_std))
    token_ids = torch.arange(20).unsqueeze(0)
    z = vae.normalise(vae.encode(token_ids).mu)
    assert torch.allclose(vae.decode_normalised(z), vae.decode(vae.encode(token_ids).mu), atol=1e-4)


def test_the_card_holds_the_last_numbers_of_training(smoke: Study) -> None:
    run = smoke.run("repa", 0)
    card = (run.vae_dir / "step-8" / "README.md").read_text()
    assert card.startswith("---\n")
    assert "# TextVAE after 8 steps" in card
    records = read_metrics(run.directory / "metrics.jsonl")
    (last,) = (record for record in records if (record["stage"], record["step"]) == ("vae", 8))
    for name in ("loss", "token_accuracy", "repa_cosine"):
        assert f"| {name} | {last[name]:.4g} |" in card


@pytest.mark.parametrize("done", [True, False])
def test_a_stage_hands_back_what_is_stored(
    done: bool, smoke: Study, prepared: Study, corpus: Corpus, context: StageContext
) -> None:
    """The average of the weights where there is one, and with the normalisation."""
    run = (smoke if done else prepared).run("none", 0)
    for handed, loaded in (
        (train_vae(run, context), load_vae(run, context.place)),
        (train_flow(run, context), load_dit(run, context.place)),
    ):
        assert all(
            torch.equal(value, loaded.state_dict()[name])
            for name, value in handed.state_dict().items()
        )
