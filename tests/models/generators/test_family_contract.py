"""What every family of generators promises when it learns and writes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_families import CTX_LEN, SAMPLING, VOCABULARY, WINDOW, build, prompts, seeded, sizes, write

from models.generators.families import FAMILIES


def writing_keeps_prompts_and_fills_the_window(name: str) -> None:
    steps = write(name)
    last = steps[-1]
    given = torch.arange(WINDOW) < CTX_LEN[:, None]
    assert last.token_ids.shape == (4, WINDOW)
    assert torch.equal(last.token_ids[given], prompts()[given])
    assert last.written.all()
    assert last.t == 1.0
    assert ((last.token_ids >= 0) & (last.token_ids < VOCABULARY)).all()


def what_is_written_stays_and_only_grows(name: str) -> None:
    steps = write(name)
    assert len({len({step.t for step in steps}), len(steps)}) == 1
    for before, after in itertools.pairwise(steps):
        assert before.t < after.t
        assert before.nfe <= after.nfe
        assert (after.written | ~before.written).all()
        assert torch.equal(before.token_ids[before.written], after.token_ids[before.written])


def entropies_are_told_where_something_was_predicted(name: str) -> None:
    steps, given = write(name), torch.arange(WINDOW) < CTX_LEN[:, None]
    for step in steps:
        assert step.entropy[given].isnan().all()
        known = step.entropy[~step.entropy.isnan()]
        assert ((known >= 0) & (known <= math.log(VOCABULARY) + 1e-4)).all()
    assert not steps[-1].entropy[1, 5:].isnan().all()


def a_text_depends_on_its_own_prompt_and_generator_alone(name: str) -> None:
    # In float32 a cache that is filled in other portions rounds otherwise, which decides near ties.
    torch.set_default_dtype(torch.float64)
    try:
        _depends_on_its_own_prompt_and_generator_alone(name)
    finally:
        torch.set_default_dtype(torch.float32)


def _depends_on_its_own_prompt_and_generator_alone(name: str) -> None:
    together = write(name)[-1].token_ids
    for row in range(4):
        alone = write(name, slice(row, row + 1))[-1].token_ids
        assert torch.equal(alone[0], together[row])
    # An untrained denoiser goes to one token from any noise, but not at its first step.
    pairs = zip(write(name), write(name, seed=70), strict=False)
    assert any(not torch.equal(one.token_ids, other.token_ids) for one, other in pairs)


def a_full_window_costs_nothing_and_an_empty_batch_is_one(name: str) -> None:
    (step,) = write(name, slice(2, 3))
    assert (step.nfe, step.t) == (0, 1.0)
    assert torch.equal(step.token_ids, prompts()[2:3])
    assert write(name, slice(0, 0))[-1].token_ids.shape == (0, WINDOW)


def the_loss_overfits_one_batch(name: str) -> None:
    model = FAMILIES[name].model()(sizes(name), seeded())
    token_ids = prompts().repeat(8, 1)
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(150):
        optimizer.zero_grad()
        loss = model.training_loss(token_ids, mask, seeded(step))["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Masks of a whole text, and the first token, leave two bits to guess.
    assert sum(losses[-20:]) / 20 < 0.3 * losses[0]


def every_setting_of_writing_does_something(name: str) -> None:
    """Each option is moved, and the texts, the steps or the evaluations move."""
    changes = {"nucleus": 0.2, "num_steps": 4, "blocks": 1, "temperature": 0.0, "guidance_scale": 3,
               "clamp": False, "projection": "multi-hot"}  # fmt: skip
    usual = write(name)
    for option in FAMILIES[name].options():
        changed = write(name, **{option: changes[option]})
        same = torch.equal(changed[-1].token_ids, usual[-1].token_ids)
        assert not same or changed[-1].nfe != usual[-1].nfe, option


def a_network_without_its_sizes_is_refused(name: str) -> None:
    for field in ("vocab_size", "window"):
        with pytest.raises(ValueError, match="vocab_size and window must be set"):
            FAMILIES[name].model()(dataclasses.replace(sizes(name), **{field: None}))


def a_gap_is_filled_between_what_stays(name: str) -> None:
    """By families that say so; what stands behind the gap matters. Others have no such way."""
    model, family = build(name), FAMILIES[name]
    given = (torch.arange(WINDOW) < CTX_LEN[:, None]) | (torch.arange(WINDOW) > 8)
    sampling = family.sampling(**SAMPLING.get(name, {}))

    def filled(token_ids: torch.Tensor) -> list[Any]:
        generators = [seeded(row) for row in range(4)]
        return list(model.infill(token_ids, given, sampling, generators))

    if not family.infills:
        with pytest.raises((AttributeError, ValueError), match=r"infill|filled in"):
            filled(prompts())
        return
    other = prompts().masked_fill(torch.arange(WINDOW) > 8, 4)
    first, second = filled(prompts()), filled(other)
    assert torch.equal(first[-1].token_ids[given], prompts()[given])
    assert first[-1].written.all()
    assert first[-1].entropy[given].isnan().all()
    pairs = zip(first, second, strict=True)
    assert any((a.token_ids != b.token_ids)[~given].any() for a, b in pairs)


def its_spaces_have_a_vector_per_token(name: str) -> None:
    """An embedding is its token's alone; a state halfway is not the embedding, nor its token's."""
    model, token_ids = build(name), prompts()
    token_ids[:, 7] = token_ids[:, 5]
    spaces = model.spaces(token_ids)
    assert list(spaces) == ["embeddings", "middle"]
    for space, vectors in spaces.items():
        assert vectors.shape[:2] == token_ids.shape
        assert torch.equal(vectors[:, 5], vectors[:, 7]) == (space == "embeddings")
        other = torch.cat([token_ids[:, :-1], 1 + token_ids[:, -1:] % (VOCABULARY - 1)], dim=1)
        changed = (model.spaces(other)[space] != vectors).any(dim=-1)
        assert changed[:, -1].all()
        assert space == "middle" or not changed[:, :-1].any()


CLAUSES = [
    its_spaces_have_a_vector_per_token,
    a_gap_is_filled_between_what_stays,
    writing_keeps_prompts_and_fills_the_window,
    what_is_written_stays_and_only_grows,
    entropies_are_told_where_something_was_predicted,
    a_text_depends_on_its_own_prompt_and_generator_alone,
    a_full_window_costs_nothing_and_an_empty_batch_is_one,
    the_loss_overfits_one_batch,
    every_setting_of_writing_does_something,
    a_network_without_its_sizes_is_refused,
]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_every_family_keeps_every_clause(clause: Callable[[str], None], name: str) -> None:
    clause(name)


def test_the_documents_table_is_the_code():
    """docs/GENERATORS.md has one row per family, and its cells say what the entry says."""
    lines = (Path(__file__).parents[3] / "docs/GENERATORS.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    found = {cells[0].strip("`"): cells[2:] for cells in rows[2:] if cells[0].startswith("`")}
    assert found == {
        name: [
            ", ".join(f"`{option}`" for option in family.options()),
            "yes" if "guidance_scale" in family.options() else "no",
            "yes" if family.learns_padding else "no",
            ", ".join(family.tasks()),
        ]
        for name, family in FAMILIES.items()
    }
