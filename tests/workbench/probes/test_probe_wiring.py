"""Each probe of the catalogue on latents that were planted: it must see what was put there.

An array of the wrong kind, order or mask handed to an analysis turns one of these red. Probes of
the flow are in `test_flow_probe_wiring`.
"""

from dataclasses import replace

import numpy as np
import pytest
from planted import noise_like, plant, results, scores

from workbench.probes.catalogue import PROBES, probe_names


def test_reconstruction_sees_a_decoder_that_reads_and_one_that_does_not(inputs):
    vocabulary = np.eye(inputs.corpus.vocab_size, dtype=np.float32) * 50
    readings = iter([inputs.padded_ids, inputs.padded_ids, inputs.padded_ids * 0])
    inputs.decode = lambda z: vocabulary[next(readings)]
    assert scores("reconstruction", inputs)["reconstruction.token_accuracy"] == 1.0
    inputs.decode = lambda z: vocabulary[inputs.padded_ids * 0]
    assert scores("reconstruction", inputs)["reconstruction.token_accuracy"] == 0.0


def test_scale_follows_mu(inputs):
    before = scores("scale", inputs)["scale.log_snr"]
    inputs.tokens = replace(inputs.tokens, mu=10 * inputs.tokens.mu)
    after = scores("scale", inputs)["scale.log_snr"]
    assert after == pytest.approx(before + 2 * np.log(10))


def test_velocity_floor_of_white_latents_is_its_chance(inputs, rng):
    plant(inputs, noise_like(inputs, rng))
    white = results("velocity_floor", inputs)["floor.velocity"]
    assert white.score == pytest.approx(white.chance, abs=0.02)
    flat = noise_like(inputs, rng)
    flat[..., 1:] = 0
    plant(inputs, flat)
    assert results("velocity_floor", inputs)["floor.velocity"].score < 0.3 * white.score


@pytest.mark.parametrize("label_set", ["pos", "semantic_class"])
def test_token_labels_are_found_where_they_were_put(many_inputs, rng, label_set):
    inputs, other = many_inputs(), many_inputs()
    labels = inputs.split.padded_token_labels(label_set, inputs.rows)
    width = inputs.normalised_mu.shape[2]
    centres = 5 * rng.standard_normal((labels.max() + 2, width))
    blank = noise_like(inputs, rng)
    plant(inputs, centres[labels] + 0.1 * blank)
    assert scores("linear_separability", inputs)[f"linear_separability.{label_set}"] > 0.95
    near = scores("knn_coherence", inputs)
    # Some classes have fewer tokens here than a token has neighbours.
    assert near[f"knn_coherence.token.{label_set}"] > 0.9
    informed = scores("velocity_information", inputs).get(f"velocity_information.{label_set}")
    assert informed is None or informed < 0.2
    plant(other, blank)
    found = results("linear_separability", other)[f"linear_separability.{label_set}"]
    assert found.score < found.chance + 0.1
    found = results("knn_coherence", other)[f"knn_coherence.token.{label_set}"]
    assert found.score == pytest.approx(found.chance, abs=0.1)


def test_text_labels_are_found_by_text_and_by_sentence(inputs, rng):
    labels = inputs.text_labels["tense"]
    width = inputs.normalised_mu.shape[2]
    latents = 3.0 * labels[:, None, None] * np.ones(width) + 0.1 * noise_like(inputs, rng)
    plant(inputs, latents * np.where(np.arange(width) % 2, 1, -1))
    near = scores("knn_coherence", inputs)
    assert near["knn_coherence.text.tense"] > 0.95
    assert near["knn_coherence.sentence.tense"] > 0.95
    assert scores("linear_separability", inputs)["linear_separability.tense"] > 0.95


def test_neighbours_of_a_sentence_are_of_other_texts(inputs, rng):
    # Every text is its own cluster, so coherence could only come from the text itself.
    centres = 5 * rng.standard_normal((len(inputs.rows), 1, inputs.normalised_mu.shape[2]))
    plant(inputs, centres + 0.1 * noise_like(inputs, rng))
    found = results("knn_coherence", inputs)["knn_coherence.sentence.tense"]
    assert found.score == pytest.approx(found.chance, abs=0.15)


def test_velocity_information_of_the_context(many_inputs, rng):
    inputs = many_inputs()
    table = inputs.context_table
    inputs.context_table = replace(table, z=table.context[:, : table.z.shape[1]])
    known = results("velocity_information", inputs)["velocity_information.context"]
    assert known.score < 0.2 * known.chance
    inputs.context_table = replace(table, z=rng.standard_normal(table.z.shape))
    unknown = results("velocity_information", inputs)["velocity_information.context"]
    assert unknown.score == pytest.approx(unknown.chance, rel=0.05)


def test_learnability_of_the_context(many_inputs, rng):
    inputs = many_inputs()
    table = inputs.context_table
    inputs.context_table = replace(table, z=table.context[:, 1:3])
    assert scores("learnability", inputs)["learnability.context_r2"] > 0.95
    inputs.context_table = replace(table, z=rng.standard_normal(table.z.shape))
    assert scores("learnability", inputs)["learnability.context_r2"] < 0.05


def test_context_features_are_of_the_own_text_before_the_cut(inputs):
    texts, places = np.indices(inputs.mask.shape)
    latents = np.zeros(inputs.normalised_mu.shape, np.float32)
    latents[..., 0], latents[..., 1] = texts, places
    plant(inputs, latents)
    table, width = inputs.context_table, latents.shape[2]
    own, cuts = table.texts, inputs.cuts[table.texts]
    np.testing.assert_array_equal(table.z[:, 0], own)
    np.testing.assert_allclose(table.context[:, 0], own, rtol=1e-5)
    np.testing.assert_allclose(table.context[:, 1], (cuts - 1) / 2, rtol=1e-5)
    np.testing.assert_array_equal(table.context[:, width + 1], cuts - 1)
    away = (table.z[:, 1] - cuts) / inputs.corpus.window
    np.testing.assert_allclose(table.context[:, -1], away)
    assert (away >= 0).all()


def test_alignment_with_the_teachers_own_states(inputs, rng):
    from workbench.probes.inputs.teacher_inputs import stored_layer, teacher_run_config

    config = teacher_run_config(inputs.run.study)
    assert config is not None
    table = stored_layer(inputs, config)
    states = np.zeros((len(inputs.tokens.z), table.states[-3].shape[1]), np.float32)
    states[table.rows] = table.states[-3]
    inputs.tokens = replace(inputs.tokens, normalised_mu=states)
    assert scores("alignment", inputs) == pytest.approx(
        {"alignment.linear_cka": 1.0, "alignment.cknna": 1.0, "alignment.mutual_knn": 1.0}
    )
    layers = scores("alignment_layers", inputs)
    # The states come back from 8 bits of mantissa and another standardisation.
    assert layers["alignment_layers.linear_cka.layer4"] > 0.97
    assert layers["alignment_layers.linear_cka.layer0"] < 0.9
    inputs.tokens = replace(inputs.tokens, normalised_mu=rng.permutation(states))
    assert abs(scores("alignment", inputs)["alignment.linear_cka"]) < 0.1


def test_isotropy_and_dimension_of_planted_clouds(inputs, new_inputs, rng):
    plant(inputs, noise_like(inputs, rng))
    even = scores("isotropy", inputs)
    assert abs(even["isotropy.mean_cosine"]) < 0.05
    line = noise_like(inputs, rng)[..., :1] * np.ones(inputs.normalised_mu.shape[2])
    other = new_inputs()
    plant(other, line)
    assert scores("intrinsic_dimension", other)["intrinsic_dimension.z"] == pytest.approx(
        1, abs=0.2
    )
    plant(inputs, noise_like(inputs, rng) + 20)
    del inputs.tokens
    assert scores("isotropy", inputs)["isotropy.mean_cosine"] > 0.95
    assert scores("isotropy", other)["isotropy.uniformity"] > even["isotropy.uniformity"] + 1


def test_sequence_structure_of_latents_that_mark_sentences(inputs, new_inputs, rng):
    centres = rng.standard_normal((inputs.sentences.max() + 2, inputs.normalised_mu.shape[2]))
    plant(inputs, centres[inputs.sentences])
    marked = results("sequence_structure", inputs)
    assert marked["sequence_structure.sentence_contrast"].score > 0.5
    smooth = marked["sequence_structure.high_frequency_share"]
    assert smooth.score < 0.5 * smooth.chance
    other = new_inputs()
    plant(other, noise_like(inputs, rng))
    assert abs(scores("sequence_structure", other)["sequence_structure.sentence_contrast"]) < 0.1


def test_a_decoder_that_never_changes_has_no_radius(inputs):
    vocabulary = np.eye(inputs.corpus.vocab_size, dtype=np.float32)
    inputs.decode = lambda z: vocabulary[inputs.padded_ids[: len(z)]]
    found = results("decoder_basin", inputs)
    assert found["decoder_basin.r50.isotropic"].score is None
    assert found["decoder_basin.margin.mu"].score == pytest.approx(1.0)


def test_a_decoder_that_reads_a_sign_flips_at_its_distance(inputs, rng):
    # Every latent stands at +-1 in all channels; the decoder reads the first channel's sign.
    latents = np.sign(noise_like(inputs, rng)[..., :1]) * np.ones(inputs.normalised_mu.shape[2])
    plant(inputs, latents)
    inputs.decode = lambda z: np.concatenate([z[..., :1], -z[..., :1]], axis=2)
    found = scores("decoder_basin", inputs)
    assert found["decoder_basin.r50.boundary"] == pytest.approx(1.0, abs=0.26)
    assert found["decoder_basin.margin.mu"] == pytest.approx(2.0)


def test_interpolation_reads_the_texts_between(inputs):
    originals = [inputs.corpus.tokenizer.decode(ids) for ids in inputs.padded_ids]
    size = len(originals)
    calls = iter(range(10_000))
    # The planted decoder gives the originals back, whatever it is handed.
    inputs.decode_texts = lambda z: _in_turn(originals, next(calls), len(z), size)
    found = results("manifold_continuity", inputs)
    assert found["manifold_continuity.frechet"].score == pytest.approx(0, abs=1e-4)
    assert found["manifold_continuity.nats_per_token"].n == size
    inputs.decode_texts = lambda z: ["of the the of a"] * len(z)
    soup = results("manifold_continuity", inputs)
    assert soup["manifold_continuity.frechet"].score > 0.1
    assert soup["manifold_continuity.valid_4gram"].score == 0.0


def _in_turn(texts: list[str], call: int, count: int, size: int) -> list[str]:
    assert count == size, "the smoke study's texts fit one batch"
    return texts


def test_the_tiny_flow_learns(inputs):
    first = scores("flow_excess", inputs)["learnability.flow_excess"]
    inputs.config = replace(inputs.config, tiny_flow_steps=60)
    assert scores("flow_excess", inputs)["learnability.flow_excess"] < first - 0.05


def test_a_plane_is_mapped_without_loss(inputs, rng):
    plane = noise_like(inputs, rng)
    plane[..., 2:] = 0
    plant(inputs, plane)
    found = results("latent_map", inputs)
    # Cosine neighbours of a centred plane are directions, which the map keeps as angles.
    assert found["latent_map.token"].score > found["latent_map.token"].chance
    assert set(found["latent_map.token"].per_item) >= {"x", "y", "token_id", "text", "position"}
    assert scores("trajectory_map", inputs)["trajectory_map"] <= 1.0


# A decoder reads something from anything: reconstruction's accuracy says so.
REFUSING = {*probe_names("all")} - {"trajectory", "alignment", "alignment_layers", "reconstruction"}


@pytest.mark.parametrize("name", sorted(REFUSING))
def test_latents_that_are_not_finite_are_refused(inputs, name):
    broken = inputs.normalised_mu.copy()
    broken[0] = np.nan
    plant(inputs, broken)
    everything = np.array(inputs.latents.mu)
    everything[0] = np.nan
    inputs.latents = replace(inputs.latents, mu=everything)
    if name in ("denoising", "decoder_basin_flow"):
        inputs.flow.sampled.z_hat[:] = inputs.flow.sampled.end[:] = np.nan
    with pytest.raises(ValueError, match=r"row\(s\): 0"):
        PROBES[name].run(inputs)
