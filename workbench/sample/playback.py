"""One prompt followed from noise to text, and everything measured along the way.

Playback shows these measures, and its findings are checked against them: the decoder's reading of
each moment, when each word settled, distance from real latents, fluency and fidelity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.sample.branches import Branch, follow_prompt
from workbench.sample.trajectories import Trajectory

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.configs.flow import SamplerConfig
    from workbench.sample.generator import Generates
    from workbench.sample.prompts import Prompts
    from workbench.sample.references import References
    from workbench.study.folders import Run

FAR_QUANTILE = 0.95
NATS, FIDELITY = "fluency: nats a token", "fidelity: share of facts"
ENTROPY, AS_IN_THE_END = "entropy (nats)", "tokens as in the end"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaybackView:
    """Everything that determines one playback; part of cache keys.

    Attributes:
        row: row of the held-out prompt, or -1 for `typed`.
        typed: the user's own prompt.
        sampler: solver.
        num_steps: intervals.
        guidance_scale: 1 is off.
        seed: for the starting noise.
    """

    row: int
    typed: str
    sampler: str
    num_steps: int
    guidance_scale: float
    seed: int


@dataclass(frozen=True, slots=True)
class KeptFact:
    """A fact's value, and (S + 1,) whether each moment's text keeps it."""

    value: str
    kept: np.ndarray


@dataclass(frozen=True)
class Following:
    """One trajectory and what was measured on it.

    Attributes:
        track: the moments.
        tokens: the target's tokens at each moment, as text.
        is_text: (S + 1, T) bool, before the first end-of-text.
        commit: (T,) first moment after which each token never changes.
        far: (S + 1, P) distance of each latent to the nearest real one; 1 = as real latents to each
            other. P is T where the track is aligned.
        far_limit: the distance that 95 % of real latents stay below.
        curves: name -> (S + 1,), NaN at moments without text.
        text: the text at the last moment.
        facts: expected facts of the prompt; none for a typed prompt, and where no fact returns in
            what a human wrote next.
    """

    track: Trajectory
    tokens: list[list[str]]
    is_text: np.ndarray
    commit: np.ndarray
    far: np.ndarray
    far_limit: float
    curves: dict[str, np.ndarray]
    text: str
    facts: list[KeptFact]

    @property
    def settled(self) -> np.ndarray:
        """(T,) share of the way at which each token of the final text settled; NaN past its end."""
        share = self.commit / max(1, len(self.track.t) - 1)
        return np.where(self.is_text[-1], share, np.nan)


@dataclass(frozen=True, kw_only=True)
class MomentReader:
    """Judges what stands at each moment of a text's writing, whoever writes it.

    Attributes:
        corpus: its tokeniser and facts.
        references: held-out prompts.
        language_model: the judge of fluency.
    """

    corpus: Corpus
    references: References
    language_model: Any

    def prompt(self, view: PlaybackView, *, joint: bool = False) -> Prompts:
        """The view's prompt; held-out prompts keep their identity, so arms share their noise."""
        from workbench.sample.prompts import held_out_prompts, typed_prompts

        if view.row < 0:
            return typed_prompts(self.corpus, [view.typed], self.references)
        row, known = slice(view.row, view.row + 1), self.references
        return held_out_prompts(
            self.corpus, known.indices[row], known.cuts[row], known.prompts[row], joint=joint
        )

    def nats(self, token_ids: np.ndarray, cut: int) -> np.ndarray:
        """The judge's nats per token for each moment's text (S, L) after its prompt."""
        import torch

        eot = self.corpus.tokenizer.eot_id
        ids = token_ids.copy()
        ended = np.cumsum(ids[:, cut:] == eot, axis=1) > 0
        ids[:, cut:][ended] = eot
        lengths = cut + (~ended).sum(axis=1)
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        cuts = np.full(len(ids), cut, np.int64)
        parts = (torch.from_numpy(part) for part in (ids, mask, cuts))
        with torch.inference_mode():
            return self.language_model.nats_per_token(*parts).cpu().numpy()

    def facts(self, view: PlaybackView, texts: list[str]) -> list[KeptFact]:
        """Each expected fact of the prompt, and which moments' texts keep it."""
        from analyses.texts.fidelity import kept_facts

        known = self.references
        facts = known.facts[view.row] if view.row >= 0 else None
        if not facts:
            return []
        prompt, reference = known.prompts[view.row], known.continuations[view.row]
        moments = [
            kept_facts(text, prompt, reference, facts, self.corpus.fact_values) for text in texts
        ]
        return [
            KeptFact(facts[name], np.array([kept[name] for kept in moments])) for name in moments[0]
        ]


@dataclass(frozen=True, kw_only=True)
class Follower(MomentReader):
    """Everything needed to follow prompts through one run.

    Attributes:
        run: the arm.
        generator: whatever writes for it.
        real: (N, D) latents of real tokens where the generator moves.
    """

    run: Run
    generator: Generates
    real: np.ndarray

    def follow(self, view: PlaybackView, branch: Branch | None = None) -> Following:
        """Trace one prompt and measure its moments."""
        guidance = self.run.config.sampling.guidance(view.guidance_scale)
        sampler = self._sampler(view)
        joint = self.run.study.config.base.context.joint
        prompt = self.prompt(view, joint=joint)
        track = follow_prompt(self.generator, prompt, sampler, guidance, view.seed, branch)
        ids = track.token_ids[:, track.cut :]
        is_text = np.cumsum(ids == self.corpus.tokenizer.eot_id, axis=1) == 0
        far, limit = self._distances(track)
        texts = list(track.texts or ()) or [self.corpus.tokenizer.decode(line) for line in ids]
        facts = self.facts(view, texts)
        return Following(
            track=track,
            tokens=self._words(track, ids),
            is_text=is_text,
            commit=commit_steps(ids),
            far=far,
            far_limit=limit,
            curves=self._curves(track, is_text, far, facts),
            text=texts[-1],
            facts=facts,
        )

    def _words(self, track: Trajectory, ids: np.ndarray) -> list[list[str]]:
        """(S + 1, T) what stands at each token; an adapter's words are shown as it wrote them."""
        tokenizer = self.corpus.tokenizer
        words = [tokenizer.decode_tokens(line) for line in ids]
        for line, text in zip(words, track.texts or (), strict=False):
            spans = tokenizer.encode_batch([text])[0].offsets[: len(line)]
            line[: len(spans)] = [text[start:end] for start, end in spans]
        return words

    def _sampler(self, view: PlaybackView) -> SamplerConfig:
        """The run's sampler with the view's choices."""
        stored = self.run.config.sampling.sampler
        return replace(stored, name=view.sampler, num_steps=view.num_steps)

    def _distances(self, track: Trajectory) -> tuple[np.ndarray, float]:
        """Distance of each target latent to the nearest real one, and the usual upper limit."""
        from analyses.numerics.neighbors import NeighborConfig, nearest_in, nearest_neighbors

        search = NeighborConfig(k=1, metric="euclidean")
        own = nearest_neighbors(self.real, search).distances[:, 0]
        unit = float(np.median(own)) or 1.0
        target = track.path
        flat = target.reshape(-1, target.shape[-1])
        away = nearest_in(flat, self.real, search).distances[:, 0]
        return away.reshape(target.shape[:2]) / unit, float(np.quantile(own, FAR_QUANTILE)) / unit

    def _curves(
        self,
        track: Trajectory,
        is_text: np.ndarray,
        far: np.ndarray,
        facts: Sequence[KeptFact],
    ) -> dict[str, np.ndarray]:
        """Curves over the moments; each mean is over the tokens of that moment's text."""
        ids = track.token_ids[:, track.cut :]
        counts = is_text.sum(axis=1)

        def mean(values: np.ndarray) -> np.ndarray:
            return (values * is_text).sum(axis=1) / np.maximum(counts, 1)

        curves = {
            AS_IN_THE_END: (ids == ids[-1]).mean(axis=1),
            "distance from real latents (× usual)": mean(far)
            if track.aligned
            else far.mean(axis=1),
            NATS: self.nats(track.token_ids, track.cut),
        }
        if track.aligned:  # an adapter decodes to texts, which have neither
            curves = {
                ENTROPY: mean(track.entropy[:, track.cut :]),
                "margin (probability)": mean(track.margin[:, track.cut :]),
                **curves,
            }
        if facts:
            curves[FIDELITY] = np.mean([fact.kept for fact in facts], axis=0)
        return {name: np.where(counts > 0, values, np.nan) for name, values in curves.items()}


def commit_steps(ids: np.ndarray) -> np.ndarray:
    """(T,) first moment of ids (S + 1, T) after which each token never changes."""
    differs = ids != ids[-1]
    last = len(ids) - 1 - np.argmax(differs[::-1], axis=0)
    return np.where(differs.any(axis=0), last + 1, 0)
