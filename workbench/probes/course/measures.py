"""What is measured at one milestone: a VAE's space, or a flow's loss and its texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.flow import draw_latents, flow_loss
from workbench.machine.devices import autocast
from workbench.machine.seeds import step_generator
from workbench.probes.catalogue import PROBES
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.sample.continuations import continue_prompts
from workbench.sample.generator import Generator
from workbench.sample.prompts import held_out_prompts
from workbench.score.directions import HIGHER_IS_BETTER
from workbench.score.judge import Judge
from workbench.store.json_files import read_json
from workbench.train.flow import FlowFloors, flow_floors
from workbench.train.latents import open_latents
from workbench.train.vae import load_vae, normalise_latents

if TYPE_CHECKING:
    import pandas as pd

    from analyses.result import Result
    from models.dit import TextDiT
    from models.text_vae import TextVAE
    from workbench.machine.context import StageContext
    from workbench.sample.continued import Continuations
    from workbench.study.folders import Run

VAE_PROBES = (
    "reconstruction",
    "scale",
    "velocity_floor",
    "velocity_information",
    "knn_coherence",
    "linear_separability",
    "alignment",
)
READABLE = "linear_separability."
NUM_PROMPTS = 64
LOSS_DRAWS = 8  # draws of time and noise per text; one alone is noisy
LOSS_BATCH = 128
# Generation score -> the human control used as its chance level.
CONTROLS = {
    "valid_4gram": "shuffled_words",
    "nats_per_token": "shuffled_words",
    "fidelity": "wrong_source",
}


def probe_vae(run: Run, vae: TextVAE, context: StageContext) -> tuple[list[Result], pd.DataFrame]:
    """Run the quick probes on a VAE at any step, as `probe` does on the trained one.

    Args:
        run: its settings, teacher and held-out texts are used.
        vae: the run's VAE at any step; its normalisation is set in place.
        context: device and stop signal.

    Returns:
        Results, and one row per label set and text: how many of the text's rows the linear probe
        reads correctly (`result`, `text`, `hits`, `rows`).
    """
    normalise_latents(vae, run, context.place)
    inputs = ProbeInputs(run, context.place, vae)
    results: list[Result] = []
    for name in VAE_PROBES:
        context.stop.check("over training")
        results += PROBES[name].run(inputs)
        if name == "reconstruction":
            results.append(_nats(results[-1]))
    return results, _readings(inputs, results)


def _nats(reconstruction: Result) -> Result:
    from analyses.result import Result

    nats = reconstruction.detail["nats_per_token"]["mu"]
    return Result(
        name="reconstruction.nats_per_token", score=nats.mean, low=nats.low, high=nats.high,
        n=nats.n, higher_is_better=False, reason=nats.reason,
    )  # fmt: skip


def _readings(inputs: ProbeInputs, results: list[Result]) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for result in results:
        if not result.name.startswith(READABLE) or result.score is None:
            continue
        label_set = result.name.removeprefix(READABLE)
        rows, predicted = result.per_item["row"], result.per_item["predicted"]
        of_tokens = label_set in inputs.tokens.labels
        labels = inputs.tokens.labels if of_tokens else inputs.text_labels
        texts = inputs.tokens.texts[rows] if of_tokens else rows
        frame = pd.DataFrame({"text": texts, "hits": predicted == labels[label_set][rows]})
        counted = frame.groupby("text")["hits"].agg(["sum", "size"]).reset_index()
        counted.columns = ["text", "hits", "rows"]
        tables.append(counted.assign(result=result.name))
    columns = ["result", "text", "hits", "rows"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class FlowProbe:
    """Measures a run's flow at any step: its loss with the floors, and the texts it writes.

    Attributes:
        run: a run whose VAE, latents and references are done.
        context: device and stop signal.
    """

    run: Run
    context: StageContext

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self.run.study, self.context.place, NUM_PROMPTS)

    @cached_property
    def _vae(self) -> TextVAE:
        return load_vae(self.run, self.context.place)

    @cached_property
    def _floors(self) -> FlowFloors:
        return flow_floors(open_latents(self.run.latents_dir, "train"), self.run.config.flow)

    @cached_property
    def _controls(self) -> dict[str, Any]:
        return read_json(self.run.study.baselines_dir / "baselines.json")

    @cached_property
    def _bootstrap(self) -> Any:
        from analyses.statistics.intervals import BootstrapConfig

        config = self.run.study.config.base.evaluation
        return BootstrapConfig(num_resamples=config.num_resamples, seed=config.seed)

    def probe(self, dit: TextDiT) -> tuple[list[Result], pd.DataFrame]:
        """Results, and one row per prompt with its continuation and scores."""
        results = self._loss(dit)
        self.context.stop.check("over training")
        written = self._write(dit)
        scores = self._scores(written)
        results += [self._score(name, values) for name, values in scores.items()]
        return results, self._frame(written, scores)

    @torch.inference_mode()
    def _loss(self, dit: TextDiT) -> list[Result]:
        """Training loss on held-out latents, with the same draws for every step and arm."""
        from analyses.result import Result
        from analyses.statistics.intervals import bootstrap

        config, place = self.run.config, self.context.place
        latents = open_latents(self.run.latents_dir, "test")
        count = min(self.run.study.config.base.evaluation.probe_texts, len(latents.cuts))
        losses = np.zeros(count)
        for draw in range(LOSS_DRAWS):
            for start in range(0, count, LOSS_BATCH):
                rows = np.arange(start, min(start + LOSS_BATCH, count))
                batch = latents.gather(rows, np.zeros_like(rows))
                mu, std, cuts = (part.to(place.device) for part in batch)
                vector = latents.gather_vectors(rows, np.zeros_like(rows))
                vector = None if vector is None else vector.to(place.device)
                generator = step_generator(place.device, self.run.seed, "milestone", draw, start)
                z = draw_latents(mu, 2 * std.log(), config.flow.latent_target, generator)
                ctx_mask = torch.arange(mu.shape[1], device=mu.device) < cuts[:, None]
                with autocast(place, config.flow_training.precision):
                    found = flow_loss(dit, z, mu, ctx_mask, config.flow, generator, vector=vector)
                losses[rows] += found.per_example.double().cpu().numpy() / LOSS_DRAWS
        interval, floors = bootstrap(losses, self._bootstrap), self._floors
        loss = Result.of(
            "flow.loss", interval, chance=floors.gaussian, higher_is_better=False,
            detail={"floor_given_mu": floors.given_mu, "draws": LOSS_DRAWS},
        )  # fmt: skip
        return [loss, _within_band(loss, floors)]

    def _write(self, dit: TextDiT) -> Continuations:
        run, references = self.run, self._judge.references
        corpus, sampling, joint = run.study.corpus, run.config.sampling, run.config.context.joint
        prompts = held_out_prompts(
            corpus, references.indices, references.cuts, references.prompts, joint=joint
        )
        return continue_prompts(
            Generator.of(run.config, self._vae, dit, self.context.place),
            corpus,
            prompts,
            self.context,
            sampler=sampling.sampler,
            guidance=sampling.guidance(sampling.guidance_scales[0]),
            seed=run.seed,
            batch_size=sampling.batch_size,
            stage="over training: sampling",
        )

    def _scores(self, written: Continuations) -> dict[str, np.ndarray]:
        from analyses.texts.fidelity import fidelity
        from analyses.texts.ngram_scores import valid_ngram_scores

        judge, references = self._judge, self._judge.references
        valid = valid_ngram_scores(written.token_ids, judge.ngrams)
        scores = {
            "valid_4gram": valid.values["valid_4gram"],
            "nats_per_token": judge.nats_per_token(written.token_ids),
        }
        if any(references.facts):
            told = fidelity(
                written.texts,
                references.prompts,
                references.continuations,
                references.facts,
                self.run.study.corpus.fact_values,
            )
            scores["fidelity"] = told.values["fidelity"]
        return scores

    def _score(self, name: str, values: np.ndarray) -> Result:
        from analyses.result import Result
        from analyses.statistics.intervals import bootstrap

        interval, control = bootstrap(values, self._bootstrap), CONTROLS[name]
        return Result.of(
            f"generation.{name}", interval, reason=interval.reason,
            higher_is_better=HIGHER_IS_BETTER[name],
            chance=self._controls[control]["metrics"].get(name, {}).get("mean"),
            detail={"chance_is": control},
        )  # fmt: skip

    def _frame(self, written: Continuations, scores: dict[str, np.ndarray]) -> pd.DataFrame:
        import pandas as pd

        references = self._judge.references
        columns = {"index": references.indices, "prompt": references.prompts}
        return pd.DataFrame({**columns, "continuation": written.texts, **scores})


def _within_band(loss: Result, floors: FlowFloors) -> Result:
    """Where a loss lies between its floors: 1 knows only the covariance, 0 knows mu."""
    from analyses.result import undefined
    from analyses.spaces.velocity_floor import band_fraction

    score, low, high = (
        None
        if value is None
        else band_fraction(value, floor_mu=floors.given_mu, floor_gaussian=floors.gaussian)
        for value in (loss.score, loss.low, loss.high)
    )
    name = "flow.band_fraction"
    if score is None:
        return undefined(name, "there is no loss, or the two floors coincide", loss.n)
    return replace(loss, name=name, score=score, low=low, high=high, chance=1.0)
