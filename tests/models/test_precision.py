"""Which processors compute in bfloat16: those on which it is faster, not all that can."""

import pytest
import torch

from models import precision


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "amd", "fast"),
    [
        (True, True, False, True),
        (False, True, True, True),
        (False, True, False, False),
        (False, False, True, False),
    ],
)
def test_bfloat16_is_used_where_it_is_faster(monkeypatch, amx, avx512_bf16, amd, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(precision, "_is_amd", lambda: amd)
    assert precision.has_fast_bfloat16("cpu") == fast
