"""Two streams: equal weights are the DiT, each stream has its own, and how many there are."""

import pytest
import torch
from test_dit import SMALL, build, inputs  # noqa: F401

from models.configs.flow import GuidanceConfig, TextDiTConfig
from models.dit import TextDiT
from models.guidance import ContextVelocity, Guided
from models.samplers import SAMPLERS


def build_pair(**overrides):
    """A DiT, and the network of two streams that has its weights in both."""
    dit = build(**overrides)
    with torch.no_grad():
        for block in dit.blocks:
            torch.nn.init.uniform_(block.attn.qk_gain, 0.5, 2.0)
    twin = build(backbone="mmdit", **overrides)
    weights = dit.state_dict()
    for stream in ("target", "context"):
        for name in [name for name in weights if name.startswith("blocks.")]:
            _, index, rest = name.split(".", 2)
            weights[f"blocks.{index}.{stream}.{rest}"] = weights[name]
    own = {name: weights[name][: len(value)] for name, value in twin.state_dict().items()}
    twin.load_state_dict(own)
    return dit, twin


@pytest.mark.parametrize("token_shift", [False, True])
def test_equal_weights_in_both_streams_are_the_dit(inputs, token_shift):  # noqa: F811
    dit, twin = build_pair(token_shift=token_shift)
    target = ~inputs[3]
    drop = torch.tensor([False, True, False])
    for extra in ((), (drop,)):
        torch.testing.assert_close(twin(*inputs, *extra)[target], dit(*inputs, *extra)[target])
    states, expected = (net(*inputs, return_hidden=True).hidden for net in (twin, dit))
    torch.testing.assert_close(states[0], expected[0])
    torch.testing.assert_close(states[1][target], expected[1][target])


@pytest.mark.parametrize("stream", ["target", "context"])
def test_each_stream_has_weights_of_its_own(inputs, stream):  # noqa: F811
    """A change in one stream's first feed-forward net reaches that stream's states alone."""
    _, twin = build_pair()
    before = twin(*inputs, return_hidden=True).hidden[0]
    with torch.no_grad():
        getattr(twin.blocks[0], stream).mlp.fc2.bias.add_(1.0)
    changed = (twin(*inputs, return_hidden=True).hidden[0] - before).abs().amax(dim=-1) > 1e-6
    assert torch.equal(changed, inputs[3] == (stream == "context"))


@pytest.mark.parametrize(("width", "layers", "mlp_ratio"), [(16, 1, 4), (32, 3, 2)])
def test_parameters_are_the_formula(width, layers, mlp_ratio):
    """A stream of a block has (10 + 2 r) W^2 + (11 + r) W + 2 H; the last context stream lacks
    its output maps and four of its six modulations, (5 + 2 r) W^2 + (6 + r) W."""
    sizes = {"width": width, "layers": layers, "mlp_ratio": float(mlp_ratio), "heads": 2}
    dit, mmdit = (
        sum(p.numel() for p in TextDiT(TextDiTConfig(**{**SMALL, **sizes, **kind})).parameters())
        for kind in ({}, {"backbone": "mmdit"})
    )
    stream = (10 + 2 * mlp_ratio) * width**2 + (11 + mlp_ratio) * width + 2 * 2
    spared = (5 + 2 * mlp_ratio) * width**2 + (6 + mlp_ratio) * width
    assert mmdit - dit == layers * stream - spared


def test_every_parameter_is_trained(inputs):  # noqa: F811
    dit = build(backbone="mmdit")
    z_t, t, ctx, ctx_mask = inputs
    dit(z_t, t, ctx, ctx_mask)[~ctx_mask].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in dit.parameters())


def test_texts_without_one_of_the_streams_stay_finite(inputs):  # noqa: F811
    z_t, t, ctx, ctx_mask = inputs
    dit = build(backbone="mmdit")
    for only in (torch.zeros_like(ctx_mask), torch.ones_like(ctx_mask)):
        assert torch.isfinite(dit(z_t, t, ctx, only)).all()


def test_an_untrained_network_changes_nothing_and_returns_zero(inputs):  # noqa: F811
    sizes = TextDiTConfig(**SMALL, backbone="mmdit")
    found = TextDiT(sizes, torch.Generator().manual_seed(0))(*inputs, return_hidden=True)
    assert torch.equal(*found.hidden)
    assert (found.out == 0).all()


@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_a_text_is_sampled_from_its_prompt_unless_guidance_is_0(inputs, scale):  # noqa: F811
    """Euler steps through guidance; where scale 0 leaves the prompt out, it is not seen."""
    noise, _, ctx, ctx_mask = inputs
    ends = []
    for prompt in (ctx, ctx + 1):
        velocity = ContextVelocity(build(backbone="mmdit"), prompt, ctx_mask, "z")
        guided = Guided(velocity, GuidanceConfig(guidance_scale=scale))
        *_, last = SAMPLERS["euler"](guided, noise, torch.linspace(0, 1, 4), 0.0, None)
        ends.append(last.z_t[~ctx_mask])
        assert last.z_t.isfinite().all()
    assert torch.equal(*ends) == (scale == 0)
