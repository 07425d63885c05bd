"""The teacher's own space: what is read, which components, and an autoencoder that lives there."""

import copy

import numpy as np
import pytest
import torch
from test_text_vae import build
from tiny_pretrained import LAYERS, TEXTS, save_tiny_bert, save_tiny_gpt2

from models.configs.vae import VAELossConfig
from models.teacher_space import TeacherSpace
from models.teachers import Teacher
from models.teachers.batching import is_content
from models.teachers.pretrained import load_pretrained
from models.teachers.token_reader import TokenReader
from models.text_vae import LEARNED_ENCODER
from models.vae_loss import vae_loss

SPACE = {"space": "teacher", "mu_norm": "none", "sigma": "fixed", "space_layers": 2}
WINDOW = 40


@pytest.fixture(scope="module", params=[save_tiny_bert, save_tiny_gpt2])
def backbone(request, tmp_path_factory):
    return load_pretrained(f"hf:{request.param(tmp_path_factory.mktemp('teacher'))}")


def read(backbone, num_layers=2, window=WINDOW):
    """A reader of the teacher's ids moved up by one, so that 0 is end-of-text."""
    original = torch.arange(-1, backbone.vocab_size)
    return TokenReader(backbone, original, num_layers, window)


def padded(backbone, texts):
    tokenised = backbone.tokenise(texts)
    rows = [t.token_ids[is_content(t)] + 1 for t in tokenised]
    ids = np.zeros((len(rows), WINDOW), np.int64)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = own
    offsets = [t.offsets[is_content(t)] for t in tokenised]
    return torch.from_numpy(ids), offsets


def test_states_by_id_are_those_of_the_text(backbone):
    texts = [text for text in TEXTS if text.isascii()]  # by characters, the bytes of one are mixed
    ids, offsets = padded(backbone, texts)
    states, valid = read(backbone)(ids, None)
    assert torch.equal(valid, ids > 0)
    known = Teacher(backbone, -1).token_states(texts, offsets, (-2, -1)).states
    torch.testing.assert_close(states[valid], torch.stack([known[-2], known[-1]], 1))
    assert (states[~valid] == 0).all()


def test_a_segment_is_read_as_a_text_of_its_own(backbone):
    ids, _ = padded(backbone, TEXTS)
    cut = torch.tensor([[3], [4], [2], [5], [6]])
    is_target = torch.arange(WINDOW) >= cut
    reader = read(backbone)
    states, valid = reader(ids, is_target.long())
    ctx, _ = reader(ids.masked_fill(is_target, 0), None)
    torch.testing.assert_close(states[~is_target & valid], ctx[~is_target & valid])
    moved, _ = reader(
        torch.stack([row.roll(-int(c)) for row, c in zip(ids, cut, strict=True)]).masked_fill(
            torch.arange(WINDOW) >= WINDOW - cut, 0
        ),
        None,
    )
    for row, back, one in zip(states, moved, cut, strict=True):
        known = back.roll(int(one), 0)
        torch.testing.assert_close(row[int(one) :], known[int(one) :])
    changed = torch.where(is_target & valid, (ids % 20) + 1, ids)
    assert torch.equal(reader(changed, is_target.long())[0][~is_target], states[~is_target])
    # As one text the same products have other shapes, so last bits may differ.
    seen = not torch.allclose(reader(changed, None)[0][~is_target], states[~is_target], atol=1e-4)
    assert seen != backbone.causal, "read as one, the context sees the target"


def test_a_text_without_a_token_has_no_state(backbone):
    states, valid = read(backbone)(torch.zeros((2, WINDOW), dtype=torch.long), None)
    assert not valid.any()
    assert (states == 0).all()


def test_what_a_reader_cannot_do_is_refused(backbone):
    with pytest.raises(ValueError, match=rf"space_layers must be <= {LAYERS + 1}, .*, got 9"):
        read(backbone, num_layers=9)
    with pytest.raises(ValueError, match=r"lower corpus\.window"):
        read(backbone, window=65)


def measured(states, num_layers=2, width=3):
    space = TeacherSpace(num_layers, states.shape[-1], width)
    space.fit(states)
    return space


def test_components_are_those_of_a_direct_formula():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn((6, 6), generator=generator)
    states = torch.randn((400, 2, 6), generator=generator) @ mixing + 5.0
    space = measured(states)
    every = torch.ones((1, 400), dtype=torch.bool)
    latents = space(states[None], every)[0]

    layers = states.double().numpy()
    x = ((layers - layers.mean(0)) / layers.std(0)).mean(1)
    left = np.linalg.svd(x, full_matrices=False)[0][:, :3] * np.sqrt(len(x))
    signs = np.sign((left * latents.numpy()).sum(0))
    np.testing.assert_allclose(latents.numpy(), left * signs, atol=1e-4)
    covariance = latents.T @ latents / len(latents)
    torch.testing.assert_close(covariance, torch.eye(3), atol=1e-4, rtol=0)
    peaks = space.components.gather(0, space.components.abs().argmax(0, keepdim=True))
    assert (peaks > 0).all(), "an eigenvector's sign is free, so it is settled"
    valid = torch.arange(400)[None] < 7
    assert (space(states[None], valid)[0, 7:] == 0).all()


def test_more_components_than_directions_are_refused():
    states = torch.randn((50, 2, 2), generator=torch.Generator().manual_seed(0))
    flat = torch.cat([states, states], -1)  # four dimensions, two directions
    with pytest.raises(ValueError, match="directions in which the teacher's states vary, got 3"):
        measured(flat)
    with pytest.raises(ValueError, match="got 3"):
        measured(states)


@pytest.fixture
def space_vae():
    vae = build(**SPACE)

    def reader(token_ids, segments):
        table = torch.randn((31, 2, 10), generator=torch.Generator().manual_seed(0))
        return table[token_ids], token_ids > 0

    vae.reader = reader
    table, _ = reader(torch.arange(31), None)
    vae.space.fit(table)
    return vae


def test_the_decoder_starts_as_its_twins_and_no_encoder_is_kept():
    space, twin = build(**SPACE).state_dict(), build(mu_norm="none", sigma="fixed").state_dict()
    shared = {name for name in twin if not name.startswith(LEARNED_ENCODER)}
    assert shared == {name for name in space if not name.startswith("space.")}
    assert all(torch.equal(space[name], twin[name]) for name in shared)
    assert any(name.startswith("decoder") for name in shared)


def test_it_encodes_with_a_reader_alone_and_decodes_without(space_vae):
    ids = torch.randint(0, 31, (3, 12), generator=torch.Generator().manual_seed(1))
    posterior = space_vae.encode(ids)
    assert posterior.mu.shape == (3, 12, 4)
    assert (posterior.mu[ids == 0] == 0).all()
    assert not posterior.mu.requires_grad
    torch.testing.assert_close(posterior.logvar.exp().sqrt(), torch.full((3, 12, 4), 0.3))
    alone = build(**SPACE)
    with pytest.raises(ValueError, match="set"):
        alone.encode(ids)
    assert alone.decode(posterior.mu).shape == (3, 12, 31)


def test_its_decoder_learns_and_nothing_else_does(space_vae):
    ids = torch.randint(1, 31, (8, 12), generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(space_vae.state_dict())
    optimizer = torch.optim.AdamW(space_vae.parameters(), lr=5e-3)
    accuracy = []
    for step in range(60):
        losses = vae_loss(
            space_vae, ids, ids > 0, VAELossConfig(), step=step, num_steps=60,
            generator=torch.Generator().manual_seed(step), watch_gradients=True,
        )  # fmt: skip
        losses.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        accuracy.append(float(losses.token_accuracy))
    assert losses.gradient_shares.isnan().all(), "a frozen encoder has no gradient to share"
    assert accuracy[-1] > accuracy[0] + 0.4
    after = space_vae.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.split(".")[0] for name in changed} == {"latent_embedding", "decoder", "head"}
