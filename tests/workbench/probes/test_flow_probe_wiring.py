"""Each probe of the flow on paths, ends and states that were planted: it must see what is there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import results, scores

from models.guidance import Guided
from workbench.machine.seeds import step_generator
from workbench.probes.catalogue import PROBES

MISSED = "near_misses.same_kind.pos"


def test_decoder_basin_looks_at_what_the_flow_made(inputs):
    sampled, denoised = inputs.flow.sampled, inputs.flow.half_noised
    inputs.decode = lambda z: np.concatenate([z[..., :1], z[..., :1] - 1], axis=2) * 1e3
    sampled.end[:] = denoised.z_hat[:] = 0.5
    inputs.flow.sampled = replace(sampled, written=np.ones_like(sampled.written))
    found = scores("decoder_basin_flow", inputs)
    assert found["decoder_basin_flow.margin.half_noised"] == pytest.approx(1e3)
    sampled.end[:] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        PROBES["decoder_basin_flow"].run(inputs)


def test_misses_are_words_of_the_real_text_that_the_flow_ended_elsewhere(inputs):
    size = len(inputs.flow.finished)
    meant, target = inputs.padded_ids[:size], (inputs.mask & inputs.is_target)[:size]
    codes = inputs.split.padded_token_labels("pos", inputs.rows)[:size]
    text, place = np.argwhere(target & (codes >= 0))[0]
    other = next(word for word in np.unique(meant[target]) if word != meant[text, place])
    written = np.where(np.arange(meant.shape[1]) < inputs.cuts[:size, None], 0, meant)
    written[text, place] = other
    inputs.decode_ids = lambda z: written
    inputs.flow.finished[text, place] = inputs.tokens.z[5]
    found = results("near_misses", inputs)
    assert found["near_misses.rate"].score == pytest.approx(1 / target.sum())
    only = {name: values.tolist() for name, values in found[MISSED].per_item.items()}
    assert (only["text"], only["position"]) == ([text], [place])
    assert (only["meant"], only["written"]) == ([meant[text, place]], [other])
    assert only["nearest"] == [inputs.tokens.token_ids[5]]


def test_texts_are_finished_from_half_noise_by_the_noise_that_arms_share(inputs, monkeypatch):
    monkeypatch.setattr(Guided, "__call__", lambda self, z_t, t: torch.zeros_like(z_t))
    monkeypatch.setattr("models.samplers.renoise", lambda z_t, t, earlier, generator: (z_t, t))
    z = inputs.normalised_z[: len(inputs.flow.finished)]
    identities = [
        step_generator(torch.device("cpu"), inputs.run.seed, "sample", int(row))
        for row in inputs.rows
    ]
    noise = np.stack([torch.randn(z.shape[1:], generator=own).numpy() for own in identities])
    np.testing.assert_allclose(inputs.flow.finished, (z + noise) / 2, atol=1e-6)


def test_a_straight_trajectory_that_commits_at_once(inputs):
    stored = inputs.flow.trajectory
    start, end = stored.z_t[0], stored.z_t[-1] + 1
    path = start + stored.t[:, None, None, None] * (end - start)
    ids = np.repeat(stored.token_ids[-1:], len(stored.t), axis=0)
    ids[:, :, :30] = 5
    inputs.flow.trajectory = replace(stored, token_ids=ids)
    inputs.flow.ode_path = (stored.t, path)
    found = scores("trajectory", inputs)
    assert found["trajectory.straightness"] == pytest.approx(1.0)
    assert found["trajectory.efficiency"] == pytest.approx(1.0)
    assert found["trajectory.segment_ratio"] == pytest.approx(1.0)
    assert found["trajectory.commit_step"] == 0.0


def test_a_trajectory_that_ends_on_real_latents(inputs):
    stored, real = inputs.flow.trajectory, inputs.context_table.z
    path = stored.z_t.copy()
    path[-1] = real[np.arange(path[-1][..., 0].size) % len(real)].reshape(path[-1].shape)
    ids = np.full_like(stored.token_ids, 5)
    inputs.flow.trajectory = replace(stored, z_t=path, token_ids=ids)
    assert scores("trajectory", inputs)["trajectory.off_manifold"] == pytest.approx(0, abs=1e-3)


def test_fidelity_that_comes_after_fluency(inputs):
    stored, references = inputs.flow.trajectory, inputs.flow.references
    final = inputs.split.padded(references.indices[: len(stored.cuts)])[0]
    ids = np.repeat(final[None], len(stored.t), axis=0)
    ids[0] = np.arange(2, 2 + ids.shape[2]) % inputs.corpus.vocab_size
    inputs.flow.trajectory = replace(stored, token_ids=ids)
    found = results("trajectory", inputs)["trajectory.fidelity_lag"]
    faithful = found.detail["fidelity"]["mean"]
    assert faithful[-1].mean == 1.0
    assert faithful[0].mean < 1.0
    assert found.detail["fluency"]["mean"][-1].mean > found.detail["fluency"]["mean"][0].mean


def test_denoising_says_when_a_label_becomes_readable(inputs, rng):
    sampled = inputs.flow.sampled
    labels = np.asarray(inputs.split.labels["tense"])[sampled.rows]
    z_hat = rng.standard_normal(sampled.z_hat.shape)
    z_hat[2:] += 10 * (labels[:, None, None] - 0.5)
    inputs.flow.sampled = replace(sampled, z_hat=z_hat)
    found = results("denoising", inputs)["denoising.tense"]
    assert found.score == 1.0
    assert found.detail["risen_at"] == f"{sampled.t[2]:.4g}"


def test_denoising_does_not_look_at_the_prompt(inputs, rng):
    sampled = inputs.flow.sampled
    labels = np.asarray(inputs.split.labels["tense"])[sampled.rows]
    context = np.arange(sampled.end.shape[1]) < sampled.cuts[:, None]
    z_hat = rng.standard_normal(sampled.z_hat.shape)
    z_hat += 10 * (labels[:, None, None] - 0.5) * context[..., None]
    inputs.flow.sampled = replace(sampled, z_hat=z_hat)
    found = results("denoising", inputs)["denoising.tense"]
    assert found.score < 0.9


def test_flow_layers_find_the_block_that_holds_a_label(inputs, rng):
    denoised = inputs.flow.half_noised
    labels = inputs.split.padded_token_labels("pos", inputs.rows)
    blank = [rng.standard_normal(states.shape) for states in denoised.hidden]
    centres = 5 * rng.standard_normal((labels.max() + 2, blank[0].shape[2]))
    blank[0] = centres[labels] + 0.1 * blank[0]
    noise = rng.standard_normal(denoised.z_hat.shape)
    inputs.flow.half_noised = replace(denoised, hidden=blank, z_t=noise, z_hat=noise)
    curve = results("flow_layers", inputs)["flow_layers.pos"].detail["curve"]
    assert curve["block1"]["accuracy"] > 0.9
    assert curve["z_t"]["accuracy"] < 0.5


def test_the_flow_is_shown_the_context_and_noise_beyond_it(inputs):
    pure = inputs.flow.denoised(1.0)
    np.testing.assert_allclose(pure.z_t, inputs.normalised_z, rtol=1e-5, atol=1e-6)
    context = ~inputs.is_target
    np.testing.assert_array_equal(pure.z_hat[context], inputs.normalised_mu[context])
    assert len(pure.hidden) == inputs.run.config.dit.layers


def test_the_sampled_end_is_what_the_run_stored(inputs):
    stored, sampled = inputs.flow.trajectory, inputs.flow.sampled
    count = len(stored.cuts)
    np.testing.assert_array_equal(sampled.cuts[:count], stored.cuts)
    np.testing.assert_allclose(sampled.end[:count], stored.z_t[-1], atol=2e-2)


def test_the_path_without_renoising_starts_and_ends_where_sampling_does(inputs):
    # The smoke study's sampler renews no noise, so both ways are one.
    (times, states), stored = inputs.flow.ode_path, inputs.flow.trajectory
    assert inputs.run.config.sampling.sampler.churn == 0.0
    np.testing.assert_allclose(times, [0.0, *stored.t])
    np.testing.assert_allclose(states[1:], stored.z_t, atol=2e-2)
    assert states[0].std() == pytest.approx(1.0, abs=0.1)
