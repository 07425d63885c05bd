"""TextDiT: zero start, conditioning and its absence, hidden states, the published sizes."""

import pytest
import torch

from models.configs.flow import TextDiTConfig
from models.dit import TextDiT, modulate, shift_tokens

SMALL = {"latent_width": 4, "window": 10, "width": 16, "layers": 2, "heads": 2}


def build(seed=0, **overrides):
    """Build a small network whose zero-initialised layers are drawn, so that it responds."""
    generator = torch.Generator().manual_seed(seed)
    dit = TextDiT(TextDiTConfig(**{**SMALL, **overrides}), generator).eval()
    for name, parameter in dit.named_parameters():
        if name.endswith("adaLN_modulation.weight"):
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        if name.endswith(("_layer.linear.weight", "_head.weight")):
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return dit


ALIGNED = {"repa_depth": 0.3, "teacher_width": 7}


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    z_t = torch.randn((3, 10, 4), generator=generator)
    ctx = torch.randn((3, 10, 4), generator=generator)
    ctx_mask = torch.arange(10) < torch.tensor([[4], [5], [6]])
    return z_t, torch.tensor([0.1, 0.5, 0.9]), ctx, ctx_mask


def test_an_untrained_network_returns_zero(inputs):
    dit = TextDiT(TextDiTConfig(**SMALL), torch.Generator().manual_seed(0))
    assert (dit(*inputs) == 0).all()


def test_only_the_declared_positions_are_read(inputs):
    z_t, t, ctx, ctx_mask = inputs
    dit, is_ctx = build(), ctx_mask.unsqueeze(-1)
    changed = dit(torch.where(is_ctx, 9.0, z_t), t, torch.where(is_ctx, ctx, 9.0), ctx_mask)
    assert torch.equal(changed, dit(*inputs))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("token_shift", [False, True])
@pytest.mark.parametrize("drop_mode", ["mask", "zeros"])
def test_a_dropped_context_has_no_influence(inputs, drop_mode, token_shift, autocast):
    z_t, t, ctx, ctx_mask = inputs
    dit, target = build(drop_mode=drop_mode, token_shift=token_shift), ~ctx_mask
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for drop in (True, False):
            cond_drop = torch.full((3,), drop)
            first = dit(z_t, t, ctx, ctx_mask, cond_drop)[target]
            second = dit(z_t, t, 5.0 - ctx, ctx_mask, cond_drop)[target]
            assert torch.equal(first, second) == drop


def test_shifted_tokens_are_their_neighbours():
    x = torch.arange(1.0, 25.0).view(1, 3, 8)
    shifted = shift_tokens(x)
    assert torch.equal(shifted[0, 1, :2], x[0, 0, :2])
    assert torch.equal(shifted[0, 1, 2:4], x[0, 2, 2:4])
    assert torch.equal(shifted[..., 4:], x[..., 4:])
    assert shifted[0, 0, :2].tolist() == shifted[0, 2, 2:4].tolist() == [0.0, 0.0]


def test_drops_are_per_text_and_none_means_no_drop(inputs):
    dit, target = build(), ~inputs[3]
    kept = dit(*inputs)
    mixed = dit(*inputs, torch.tensor([False, True, False]))
    for text, same in ((0, True), (1, False), (2, True)):
        difference = (kept - mixed)[text][target[text]].abs().max()
        assert (difference < 1e-5) == same


def test_a_text_that_is_all_context_stays_finite_when_dropped(inputs):
    z_t, t, ctx, ctx_mask = inputs
    out = build()(z_t, t, ctx, torch.ones_like(ctx_mask), torch.ones(3, dtype=torch.bool))
    assert torch.isfinite(out).all()


def test_time_reaches_the_network_only_where_it_should(inputs):
    z_t, t, ctx, ctx_mask = inputs
    for time_conditioning in (True, False):
        dit = build(time_conditioning=time_conditioning)
        same = torch.equal(dit(z_t, t, ctx, ctx_mask), dit(z_t, 1 - t, ctx, ctx_mask))
        assert same != time_conditioning


def test_self_conditioning_reads_target_positions_only(inputs):
    z_t, _, ctx, ctx_mask = inputs
    dit = build()
    none = dit(*inputs)
    assert torch.equal(none, dit(*inputs, z_self=torch.zeros_like(z_t)))
    assert torch.equal(none, dit(*inputs, z_self=ctx * ctx_mask.unsqueeze(-1)))
    assert not torch.equal(none, dit(*inputs, z_self=ctx))
    with pytest.raises(ValueError, match="has no self-conditioning"):
        build(self_conditioning=False)(*inputs, z_self=ctx)


def test_hidden_states_come_block_by_block(inputs):
    dit = build()
    output = dit(*inputs, return_hidden=True)
    assert [h.shape for h in output.hidden] == [(3, 10, 16)] * 2
    assert torch.equal(output.out, dit(*inputs))


def test_modulate_is_an_affine_map():
    x = torch.randn((2, 3, 4), generator=torch.Generator().manual_seed(0))
    shift, scale = torch.full((2, 1, 4), 0.5), torch.full((2, 1, 4), 2.0)
    torch.testing.assert_close(modulate(x, shift, scale), 3.0 * x + 0.5)


def test_every_parameter_is_trained(inputs):
    dit = build()
    dit(*inputs).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in dit.parameters())


@pytest.mark.parametrize(
    ("millions", "layers", "width", "heads", "mlp_ratio"),
    [(114, 12, 768, 12, 3.0), (328, 24, 896, 14, 3.5), (768, 36, 1088, 17, 4.0)],
)
def test_published_sizes_within_five_percent(millions, layers, width, heads, mlp_ratio):
    config = TextDiTConfig(
        latent_width=64, window=1024, width=width, layers=layers, heads=heads, mlp_ratio=mlp_ratio
    )
    with torch.device("meta"):
        dit = TextDiT(config)
    assert abs(sum(p.numel() for p in dit.parameters()) / (millions * 1e6) - 1) < 0.05


def test_the_projector_changes_no_other_weight_and_no_output(inputs):
    plain, aligned = (
        TextDiT(TextDiTConfig(**{**SMALL, **extra}), torch.Generator().manual_seed(7))
        for extra in ({}, ALIGNED)
    )
    shared = plain.state_dict()
    assert all(torch.equal(aligned.state_dict()[name], shared[name]) for name in shared)
    assert len(aligned.state_dict()) == len(shared) + 6
    plain = build()
    aligned.load_state_dict({**aligned.state_dict(), **plain.state_dict()})
    torch.nn.init.constant_(aligned.projector[0].weight, torch.nan)
    assert torch.equal(aligned(*inputs), plain(*inputs))


@pytest.mark.parametrize(
    ("depth", "layers", "block"), [(0.3, 1, 1), (0.3, 4, 2), (0.3, 12, 4), (1.0, 3, 3), (0.5, 2, 1)]
)
def test_the_block_at_the_share_of_the_depth_is_aligned(inputs, depth, layers, block):
    dit = build(layers=layers, repa_depth=depth, teacher_width=7)
    hidden = dit(*inputs, return_hidden=True).hidden
    projected = dit.project(hidden)
    assert projected.shape == (3, 10, 7)
    expected = dit.projector(torch.nn.functional.layer_norm(hidden[block - 1], (16,)))
    torch.testing.assert_close(projected, expected, atol=1e-4, rtol=1e-4)


def test_alignment_that_cannot_be_is_refused(inputs):
    for depth in (0.0, -0.5, 1.1):
        with pytest.raises(ValueError, match=r"repa_depth must lie in \(0, 1\], got"):
            TextDiTConfig(repa_depth=depth)
    with pytest.raises(ValueError, match="teacher_width must be set"):
        build(repa_depth=0.5)
    dit = build()
    with pytest.raises(ValueError, match="repa_depth must be set"):
        dit.project(dit(*inputs, return_hidden=True).hidden)


def test_a_head_in_the_middle_changes_no_other_weight_and_no_output(inputs):
    plain, with_head = (
        TextDiT(TextDiTConfig(**SMALL, **more), torch.Generator().manual_seed(0))
        for more in ({}, {"internal_depth": 0.5})
    )
    shared, weights = plain.state_dict(), with_head.state_dict()
    assert all(torch.equal(weights[name], shared[name]) for name in shared)
    assert {name.split(".")[0] for name in weights.keys() - shared.keys()} == {"internal_layer"}
    assert (with_head(*inputs, return_hidden=True).internal == 0).all()
    drawn = build()
    with_head.load_state_dict({**weights, **drawn.state_dict()})
    assert torch.equal(with_head(*inputs), drawn(*inputs))
    assert drawn(*inputs, return_hidden=True).internal is None


@pytest.mark.parametrize("backbone", ["dit", "mmdit"])
@pytest.mark.parametrize(("depth", "layers", "block"), [(0.5, 2, 1), (0.5, 4, 2), (0.3, 4, 2)])
def test_the_head_in_the_middle_reads_the_block_at_its_depth(
    inputs, depth, layers, block, backbone
):
    dit = build(layers=layers, internal_depth=depth, backbone=backbone)
    found = dit(*inputs, return_hidden=True)
    shallow = build(layers=block, backbone=backbone)
    taken = dit.state_dict()
    renamed = {n.replace("internal_layer", "final_layer"): w for n, w in taken.items()
               if "final_layer" not in n}  # fmt: skip
    if backbone == "dit":  # the last mmdit block has no prompt stream to hand on
        shallow.load_state_dict({name: renamed[name] for name in shallow.state_dict()})
        torch.testing.assert_close(found.internal, shallow(*inputs), atol=1e-5, rtol=1e-5)
    c = torch.nn.functional.silu(dit.t_embedder(inputs[1]))
    expected = dit.internal_layer(found.hidden[block - 1], c)
    torch.testing.assert_close(found.internal, expected, atol=1e-5, rtol=1e-5)
    assert found.internal.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("depth", "message"),
    [(0.0, "lie in"), (1.0, "lie in"), (-1.0, "lie in"), (0.9, "leave a block above it")],
)
def test_a_head_that_is_not_in_the_middle_is_refused(depth, message):
    with pytest.raises(ValueError, match=f"internal_depth must {message}"):
        TextDiTConfig(internal_depth=depth, layers=4)
