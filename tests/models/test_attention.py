"""Attention: parity with the reference kernel, rotary and masking properties, exact gradients."""

import pytest
import torch
import torch.nn.functional as F

from models.attention import (
    LONGEST_UNFUSED,
    RotaryTable,
    SelfAttention,
    _SplitNormRotate,
    attend,
    prepare_mask,
    uses_matrix_products,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def _qkv(generator, dtype=torch.float32, length=7):
    shape = (2, 3, length, 8)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(3)]


@pytest.mark.parametrize("queries", [7, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 3e-2)])
def test_attend_matches_reference_attention(generator, queries, masked, dtype, tolerance):
    q, k, v = _qkv(generator, dtype)
    allowed = torch.rand((2, 1, 7, 7), generator=generator) < 0.6
    allowed |= torch.eye(7, dtype=torch.bool)
    q, allowed = q[:, :, :queries], allowed[:, :, :queries]
    mask = prepare_mask(allowed, heads=3, dtype=dtype) if masked else None
    expected = F.scaled_dot_product_attention(
        q.float(), k.float(), v.float(), attn_mask=allowed if masked else None, scale=1.0
    )
    torch.testing.assert_close(attend(q, k, v, mask).float(), expected, atol=tolerance, rtol=0)


def test_bfloat16_on_the_cpu_takes_the_matrix_product_path():
    cpu = torch.device("cpu")
    assert uses_matrix_products(cpu, torch.bfloat16, 64)
    assert not uses_matrix_products(cpu, torch.float32, 64)
    assert not uses_matrix_products(cpu, torch.bfloat16, LONGEST_UNFUSED + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_keys_have_exactly_no_influence(generator, dtype):
    q, k, v = _qkv(generator, dtype)
    allowed = torch.ones((2, 1, 1, 7), dtype=torch.bool)
    allowed[..., 4:] = False
    mask = prepare_mask(allowed.expand(2, 1, 7, 7), heads=3, dtype=dtype)
    changed_k, changed_v = k.clone(), v.clone()
    changed_k[:, :, 4:] = 50.0
    changed_v[:, :, 4:] = -50.0
    assert torch.equal(attend(q, k, v, mask), attend(q, changed_k, changed_v, mask))


def test_split_norm_rotate_has_the_exact_gradient(generator):
    qkv = torch.randn((2, 3, 3, 2, 4), generator=generator, dtype=torch.float64)
    gain = torch.rand((2, 2), generator=generator, dtype=torch.float64) + 0.5
    rope = RotaryTable(4, 3)(3, torch.float64)
    qkv.requires_grad_()
    gain.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, g: _SplitNormRotate.apply(x, g, *rope), (qkv, gain))


def test_queries_and_keys_have_the_norm_that_the_gain_says(generator):
    qkv = 9.0 * torch.randn((2, 5, 3, 2, 8), generator=generator)
    gain = torch.tensor([[1.0, 2.0], [3.0, 0.5]])
    q, k, v = _SplitNormRotate.apply(qkv, gain, *RotaryTable(8, 5)(5, torch.float32))
    for rotated, gains in ((q, gain[0]), (k, gain[1])):
        rms = rotated.square().mean(-1).sqrt()  # (B, H, L)
        torch.testing.assert_close(rms, gains.view(1, 2, 1).expand_as(rms))
    torch.testing.assert_close(v, qkv[:, :, 2].transpose(1, 2))


def test_rotary_scores_depend_on_distance_only(generator):
    row = torch.randn((1, 1, 3, 1, 16), generator=generator)
    q, k, _ = _SplitNormRotate.apply(
        row.expand(1, 12, 3, 1, 16), torch.ones(2, 1), *RotaryTable(16, 12)(12, torch.float32)
    )
    scores = (q @ k.transpose(-1, -2))[0, 0]  # (L, L)
    torch.testing.assert_close(scores[1:, 1:], scores[:-1, :-1], atol=1e-4, rtol=0)
    assert (scores[0, 1:] - scores[0, 0]).abs().max() > 0.1


def test_autocast_attention_agrees_with_float32(generator):
    attention = SelfAttention(32, 4)
    x = torch.randn((2, 6, 32), generator=generator)
    table = RotaryTable(8, 6)
    expected = attention(x, table(6, torch.float32))
    with torch.autocast("cpu", torch.bfloat16):
        actual = attention(x.bfloat16(), table(6, torch.bfloat16))
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, atol=0.03, rtol=0)
