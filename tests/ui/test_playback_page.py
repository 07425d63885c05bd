"""Playback: the engine's tracks and branches, the player's page, and the page around it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses.maps.linear_basis import fit_linear_basis
from models.configs.flow import SamplerConfig
from workbench.report.findings.places import playback_readings
from workbench.sample.branches import Branch, follow_prompt
from workbench.sample.playback import FIDELITY, PlaybackView, commit_steps
from workbench.sample.trajectories import Trajectory
from workbench.ui.player.build import Lane, player_page


@pytest.fixture(scope="module")
def traced(smoke_runs: Path):
    """A function (arm, branch, ...) -> track of one prompt, and its generator's parts."""
    from data.corpus_store import open_corpus
    from models.configs.flow import GuidanceConfig
    from workbench.machine.devices import find_placement
    from workbench.sample.generator import load_generator
    from workbench.sample.prompts import typed_prompts
    from workbench.study.folders import open_study

    study = open_study(smoke_runs / "smoke")
    corpus = open_corpus(study.corpus_dir)
    prompt = typed_prompts(corpus, ["one night anna went to the cave"])
    generators = {
        arm: load_generator(study.run(arm, 0), find_placement("cpu")) for arm in study.config.arms
    }

    def track(
        arm: str = "none", branch: Branch | None = None, scale: float = 1.0, **solver
    ) -> Trajectory:
        sampler = SamplerConfig(**{"num_steps": 6, **solver})
        guidance = GuidanceConfig(guidance_scale=scale)
        return follow_prompt(generators[arm], prompt, sampler, guidance, 3, branch)

    track.generators, track.prompt, track.corpus = generators, prompt, corpus
    return track


def player_data(app) -> dict:
    """What the page handed to the player."""
    page = app.get("iframe")[0].proto.srcdoc
    return json.loads(page.split('id="data">')[1].split("</script>")[0])


def test_generate_says_that_a_text_ended_at_once(open_page, smoke_runs, monkeypatch):
    from workbench.sample import continuations

    written = continuations.continue_prompts

    def nothing(*parts, **options):
        return replace(written(*parts, **options), texts=[""])

    monkeypatch.setattr(continuations, "continue_prompts", nothing)
    app = open_page("generate", smoke_runs, steps="3", count="1")
    assert "ended at once" in app.get("html")[0].proto.body


def test_generate_writes_the_prompt_that_is_read_and_each_once(open_page, smoke_runs, monkeypatch):
    from workbench.sample import continuations

    written, asked = continuations.continue_prompts, []

    def counted(generator, corpus, prompts, *rest, **options):
        asked.extend(prompts.texts)
        return written(generator, corpus, prompts, *rest, **options)

    monkeypatch.setattr(continuations, "continue_prompts", counted)
    for read in ("1", "2", "1"):
        app = open_page("generate", smoke_runs, steps="3", noise="77", read=read)
        assert not app.error
    assert len(asked) == 4  # two arms, two prompts
    assert asked[0] == asked[1] != asked[2] == asked[3]


def same(first: Trajectory, second: Trajectory) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("t", "z_t", "z_hat", "token_ids")
    )


def test_track_has_a_moment_a_grid_point_and_ends_on_its_sample(traced):
    track = traced()
    assert len(track.t) == 7
    assert track.t[0] == 0.0
    assert track.t[-1] == 1.0
    assert (np.diff(track.t) > 0).all()
    np.testing.assert_array_equal(track.z_hat[-1], track.z_t[-1])
    assert track.nfe[-1] == 6
    assert np.isfinite(track.z_t).all()


def test_arms_start_from_the_same_noise(traced):
    first, second = traced("none"), traced("repa")
    np.testing.assert_array_equal(first.z_t[0], second.z_t[0])
    assert not np.array_equal(first.z_t[-1], second.z_t[-1])


@pytest.mark.parametrize("restarts", [0, 2])
def test_track_ends_where_generation_does(traced, restarts):
    """Whatever else is asked beside the prompt, and to the last bit: states, not only words."""
    from models.configs.flow import GuidanceConfig
    from workbench.sample.continuations import continue_prompts
    from workbench.sample.prompts import typed_prompts
    from workbench.ui.kit.cached import context

    (text,) = traced.prompt.texts
    beside = typed_prompts(traced.corpus, ["the cat saw a ball", text])
    written = continue_prompts(
        traced.generators["none"], traced.corpus, beside, context(),
        sampler=SamplerConfig(num_steps=6, churn=1.0, restarts=restarts), alone=True, trace=True,
        guidance=GuidanceConfig(guidance_scale=2.0), seed=3,
    )  # fmt: skip
    track = traced(scale=2.0, churn=1.0, restarts=restarts)
    assert (np.diff(track.t) < 0).sum() == restarts
    np.testing.assert_array_equal(track.z_t[1:], written.trace.z_t[:, 1])
    np.testing.assert_array_equal(track.token_ids[-1], written.trace.token_ids[-1, 1])


def test_prompt_typed_or_picked_writes_the_same_on_every_page(open_page, smoke_runs):
    from workbench.sample.continuations import sample_prompts
    from workbench.sample.references import open_references
    from workbench.study.folders import open_study
    from workbench.ui.kit.cached import context

    study = open_study(smoke_runs / "smoke")
    text = open_references(study.references_dir).prompts[0]
    settings = {"steps": "6", "guidance": "2.0", "sampler": "euler", "noise": "0"}
    (said,) = sample_prompts(
        study.run("repa", 0), [text], context(), num_steps=6, guidance_scale=2.0, sampler="euler"
    ).texts
    assert said
    for query in ({"count": "2"}, {"prompts": f"the cat saw\n{text}", "read": "2"}):
        app = open_page("generate", smoke_runs, **settings, **query)
        shown = " ".join(re.sub("</?u[^>]*>", "", part.proto.body) for part in app.get("html"))
        assert said in shown
    for query in ({}, {"typed": text}):
        app = open_page("playback", smoke_runs, **settings, **query)
        lane = player_data(app)["lanes"][1]
        words = [lane["names"][place] for place in lane["tokens"][-1]]
        shown = [word for word, in_text in zip(words, lane["is_text"][-1], strict=True) if in_text]
        assert "".join(shown) == said.replace(" ", "")


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_branch_that_changes_nothing_is_the_run_itself(traced, sampler, scale):
    plain = traced(name=sampler, scale=scale)
    for branch in (
        Branch(step=2, kind="nudge", strength=0.0),
        Branch(step=4, kind="blend", strength=0.0),
    ):
        assert (
            same(plain, traced(name=sampler, scale=scale, branch=branch)) or branch.kind == "blend"
        )
    nudged = traced(name=sampler, scale=scale, branch=Branch(step=2, kind="nudge", strength=0.0))
    assert same(plain, nudged)


@pytest.mark.parametrize(
    "branch",
    [
        Branch(step=3, kind="nudge", strength=1.0),
        Branch(step=3, kind="blend", strength=0.8),
        Branch(step=3, kind="guidance", guidance_scale=4.0),
    ],
)
def test_branch_shares_the_past_and_changes_the_future(traced, branch):
    plain, branched = traced(), traced(branch=branch)
    np.testing.assert_array_equal(plain.z_t[:3], branched.z_t[:3])
    assert not np.array_equal(plain.z_t[-1], branched.z_t[-1])
    context = slice(0, plain.cut)
    np.testing.assert_allclose(plain.z_t[-1, context], branched.z_t[-1, context], atol=1e-5)


def test_renoised_branch_goes_back_in_time(traced):
    branched = traced(branch=Branch(step=4, kind="renoise", back_to=1))
    assert len(branched.t) == 4 + 6
    assert branched.t[4] == traced().t[1]
    assert branched.t[-1] == 1.0


def test_branch_is_deterministic_and_depends_on_its_seed(traced):
    branch = Branch(step=3, kind="nudge", strength=1.0, seed=5)
    assert same(traced(branch=branch), traced(branch=branch))
    assert not same(traced(branch=branch), traced(branch=replace(branch, seed=6)))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"step": 0, "kind": "nudge"}, "step"),
        ({"step": 2, "kind": "twist"}, "kind"),
        ({"step": 2, "kind": "blend", "strength": 1.5}, "strength"),
        ({"step": 2, "kind": "renoise", "back_to": 2}, "back_to"),
    ],
)
def test_wrong_branch_is_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        Branch(**wrong)


def test_branch_beyond_the_last_step_is_refused(traced):
    with pytest.raises(ValueError, match="step"):
        traced(branch=Branch(step=6, kind="nudge"))


def test_commit_step_is_the_first_that_never_changes_again():
    ids = np.array([[5, 1, 7], [5, 2, 8], [5, 1, 9], [5, 1, 6]])
    assert commit_steps(ids).tolist() == [0, 2, 3]


@pytest.fixture
def follower(smoke_runs, traced):
    from data.corpus_store import open_corpus
    from workbench.machine.devices import find_placement
    from workbench.sample.playback import Follower
    from workbench.sample.references import open_references
    from workbench.score.judge import Judge
    from workbench.study.folders import open_study

    study = open_study(smoke_runs / "smoke")
    corpus = open_corpus(study.corpus_dir)
    judge = Judge(study, find_placement("cpu"))
    return Follower(
        run=study.run("none", 0),
        corpus=corpus,
        generator=traced.generators["none"],
        references=open_references(study.references_dir),
        language_model=judge.language_model,
        real=np.random.default_rng(0).normal(size=(50, traced().z_t.shape[-1])).astype(np.float32),
    )


def test_moments_without_text_are_gaps_in_every_curve(follower, traced, monkeypatch):
    """A text of none is not a certain text: nought would read as that."""
    view = PlaybackView(
        row=0, typed="", sampler="euler", num_steps=6, guidance_scale=1.0, seed=3
    )  # fmt: skip
    plain = follower.follow(view)
    assert FIDELITY in plain.curves
    cut, eot = plain.track.cut, follower.corpus.tokenizer.eot_id
    word = next(int(w) for w in plain.track.token_ids[:, cut:].flat if w != eot)
    ids = np.full_like(plain.track.token_ids, word)
    ids[1:3, cut] = eot
    silent = np.isin(np.arange(7), (1, 2))
    track = replace(plain.track, token_ids=ids)
    monkeypatch.setattr("workbench.sample.playback.follow_prompt", lambda *_: track)
    for name, curve in follower.follow(view).curves.items():
        np.testing.assert_array_equal(np.isnan(curve), silent, err_msg=name)
    ids[:, cut] = eot
    empty = follower.follow(view)
    assert FIDELITY in empty.curves
    assert all(np.isnan(curve).all() for curve in empty.curves.values())
    assert set(playback_readings(empty).values()) == {None}


def lane(seed: int = 0, tokens: str = "word") -> Lane:
    rng = np.random.default_rng(seed)
    shape = (5, 6, 4)
    track = Trajectory(
        t=np.linspace(0, 1, 5), z_t=rng.normal(size=shape), z_hat=rng.normal(size=shape),
        token_ids=np.zeros((5, 6), int), entropy=rng.random((5, 6)), margin=rng.random((5, 6)),
        nfe=np.arange(5), cuts=np.array(2),
    )  # fmt: skip
    cloud = rng.normal(size=(20, 4))
    return Lane(
        title="none", subtitle="seed 0", colour="#0072B2", track=track,
        tokens=[[tokens] * 4] * 5, is_text=np.ones((5, 4), bool), commit=np.arange(4),
        far=rng.random((5, 4)), basis=fit_linear_basis([cloud]), cloud=cloud,
        curves={"entropy": np.array([3.0, np.nan, 2.0, 1.0, 0.5])},
    )  # fmt: skip


def test_player_needs_no_network_and_no_server():
    page = player_page(
        [lane()], prompt="p", reference="r", theme="dark", title="t", far_limit=2.0, standalone=True
    )
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "default-src 'none'" in page
    assert page.startswith("<!doctype html>")
    assert "#0E1117" in page


def test_player_holds_undefined_values_as_null():
    page = player_page([lane()], prompt="p", reference="", theme="light", title="t", far_limit=2.0)
    assert '"entropy":[3.0,null,2.0,1.0,0.5]' in page
    assert "NaN" not in page


def test_page_branches_and_exports(open_page, smoke_runs):
    app = open_page("playback", smoke_runs)
    assert len(app.get("iframe")) == 1
    assert '"title":"repa"' in app.get("iframe")[0].proto.srcdoc
    assert player_data(app)["note"] == ""
    assert not app.selectbox(key="prompt-of-smoke").disabled
    assert "quantiles of the training times" in app.get("iframe")[0].proto.srcdoc
    app.toggle(key="forked").set_value(True).run()
    assert not app.exception
    assert not app.error
    assert "branched" in app.get("iframe")[0].proto.srcdoc
    for kind in ("nudge", "blend", "guidance"):
        app.selectbox(key="fork-by").set_value(kind).run()
        assert not app.exception
        assert not app.error
    assert any("plays offline" in button.label for button in app.get("download_button"))


def test_page_takes_a_prompt_of_the_readers_own(open_page, smoke_runs):
    app = open_page("playback", smoke_runs, typed="finn saw the key")
    assert "finn saw the key" in app.get("iframe")[0].proto.srcdoc
    assert "typed prompt" in player_data(app)["note"]
    assert app.selectbox(key="prompt-of-smoke").disabled
    assert any("Not in force" in caption.value for caption in app.caption)
    app = open_page("playback", smoke_runs, typed="anna " * 79)
    assert not app.exception
    assert "shorten" in app.error[0].value
