"""The peers compute the same function of the same weights, or their times would mean nothing."""

import dataclasses

import pytest
import torch

from benchmarks.guided_sampling import lively
from benchmarks.peers import PeerDiT, PeerVAE, with_weights_of
from benchmarks.workload import plain
from models.configs.flow import TextDiTConfig
from models.configs.vae import TextVAEConfig
from models.dit import TextDiT
from models.text_vae import TextVAE
from workbench.config.presets.on_two_cores import demo

BATCH, WINDOW, LATENT_WIDTH = 3, 12, 6


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("apart", [False, True])
def test_the_peer_vae_is_our_vae(apart):
    config = TextVAEConfig(
        vocab_size=40, window=WINDOW, teacher_width=8, width=32, heads=2, latent_width=LATENT_WIDTH
    )
    vae = TextVAE(config, generator())
    torch.nn.init.normal_(vae.logvar_head.weight, generator=generator())
    torch.nn.init.uniform_(vae.encoder[0].attn.qk_gain, 0.5, 2.0, generator=generator())
    peer = with_weights_of(PeerVAE(config), vae)
    token_ids = torch.randint(40, (BATCH, WINDOW), generator=generator())
    segments = (torch.arange(WINDOW) >= 5).long().expand(BATCH, WINDOW) if apart else None
    posterior = vae.encode(token_ids, segments)
    logits, mu, logvar = peer(token_ids, segments, generator())
    torch.testing.assert_close(mu, posterior.mu, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logvar, posterior.logvar, atol=1e-5, rtol=1e-4)
    expected = vae.decode(vae.sample(posterior, generator()))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_the_workload_has_nothing_that_the_peers_lack():
    """What the demo gains later must be left out of the workload, or be given to the peers."""
    config = plain(demo().base)
    assert config.flow_training.optimizer == config.vae_training.optimizer == "adamw"
    assert config.flow.internal_weight == config.flow.repa_weight == 0.0
    sizes = dataclasses.replace(config.dit, latent_width=LATENT_WIDTH, window=WINDOW)
    dit = TextDiT(sizes, generator())
    names = {name for name, _ in dit.named_parameters()}
    assert names == {name for name, _ in PeerDiT(sizes).named_parameters()}
    assert_same_dit(sizes, self_conditioned=True)


@pytest.mark.parametrize("self_conditioned", [False, True])
def test_the_peer_dit_is_our_dit(self_conditioned):
    config = TextDiTConfig(latent_width=LATENT_WIDTH, window=WINDOW, width=32, layers=2, heads=2)
    assert_same_dit(config, self_conditioned)


def assert_same_dit(config: TextDiTConfig, self_conditioned: bool) -> None:
    dit = lively(TextDiT(config, generator()))
    peer = with_weights_of(PeerDiT(config), dit)
    z_t, ctx, earlier = torch.randn(3, BATCH, WINDOW, LATENT_WIDTH, generator=generator())
    inputs = (
        z_t,
        torch.tensor([0.1, 0.5, 0.9]),
        ctx,
        torch.arange(WINDOW) < torch.tensor([[3], [5], [7]]),
        torch.tensor([True, False, True]),
        earlier if self_conditioned else None,
    )
    ours = dit(*inputs)
    assert ours.abs().max() > 0.01
    torch.testing.assert_close(peer(*inputs), ours, atol=1e-5, rtol=1e-4)
