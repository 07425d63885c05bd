"""How often a controlled generator writes what is asked for, beside itself left free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data.spread import spread_rows
from models.generators.families import FAMILIES
from workbench.errors import InputError
from workbench.machine.seeds import step_generator
from workbench.sample.generators import write_texts
from workbench.sample.prompts import Prompts
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from data.corpus_store import Corpus, Split
    from models.generators.control import NoisyClassifier
    from workbench.machine.context import StageContext
    from workbench.study.generators import GeneratorRun

BATCH = 64
MOST = 5000  # texts of a split that the judge reads
RATE = 2e-3


def measure_control(
    run: GeneratorRun,
    label: str,
    target: str,
    count: int,
    context: StageContext,
    *,
    num_steps: int = 300,
) -> dict[str, Any]:
    """Share of texts, written from nothing, that have the wanted label, with control and without.

    A classifier is trained on noisy embeddings of the training texts. What it led to is judged by
    another one, on the words of clean texts. Both kinds of text start from the same noise.

    Args:
        run: a trained generator whose family can be controlled.
        label: of whole texts.
        target: the wanted class of it.
        count: texts of each kind.
        context: device, reporter and stop signal.
        num_steps: training steps of the classifier.

    Returns:
        `controlled`, `free` and their `difference`, each a share with its interval and n;
        `judge_accuracy` on held-out texts and `majority`, the largest class's share there;
        `texts`: a few of each kind.

    Raises:
        InputError: its family cannot be controlled, or there is no such label or class.
    """
    from analyses.statistics.intervals import bootstrap, paired_bootstrap
    from models.generators.control import Control

    if not run.config.kind.controls:
        known = ", ".join(name for name, family in FAMILIES.items() if family.controls)
        raise InputError(f"{run.config.family} cannot be controlled by a label; {known} can")
    corpus = run.study.corpus
    wanted = _class_of(corpus.label_names, label, target)
    model = load_trained(run, context.place)
    classes = len(corpus.label_names[label])
    classifier = _train_classifier(model, corpus, label, classes, num_steps, run.seed, context)
    control = Control(classifier=classifier, target=wanted)
    judge = _Judge(corpus, label)
    prompts = nothing_given(corpus, count)
    texts, right = {}, {}
    for kind, own in (("controlled", control), ("free", None)):
        written, _ = write_texts(
            model, corpus, prompts, context,
            sampling=run.config.sampling, seed=run.seed, stage=kind, control=own,
        )  # fmt: skip
        texts[kind] = written.texts[:3]
        right[kind] = (judge.classes(written.token_ids) == wanted).astype(float)
    shares = {kind: asdict(bootstrap(values)) for kind, values in right.items()}
    found = asdict(paired_bootstrap(right["controlled"], right["free"]))
    difference = {"mean": found.pop("difference"), **found}
    return {
        **shares,
        "difference": difference,
        "judge_accuracy": judge.accuracy,
        "majority": judge.majority,
        "texts": texts,
    }


def nothing_given(corpus: Corpus, count: int) -> Prompts:
    """Empty prompts, each with noise of its own."""
    token_ids = np.full((count, corpus.window), corpus.tokenizer.eot_id, np.int64)
    return Prompts(token_ids, np.zeros(count, np.int64), np.arange(count), [""] * count)


def _class_of(names: Mapping[str, tuple[str, ...]], label: str, target: str) -> int:
    if label not in names:
        raise InputError(f"--label {label!r}: the corpus has {', '.join(names) or 'no labels'}")
    if target not in names[label]:
        raise InputError(f"--target {target!r}: {label} has {', '.join(names[label])}")
    return names[label].index(target)


def _train_classifier(
    model: Any,
    corpus: Corpus,
    label: str,
    classes: int,
    num_steps: int,
    seed: int,
    context: StageContext,
) -> NoisyClassifier:
    from models.generators.control import NoisyClassifier

    split, device = corpus.split("train"), context.place.device
    known = np.flatnonzero(split.labels[label] >= 0)
    cpu = torch.device("cpu")
    classifier = NoisyClassifier(
        model.config.embedding_width, corpus.window, classes, step_generator(cpu, seed, "control")
    ).to(device)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE)
    for step in range(num_steps):
        context.stop.check("control")
        generator = step_generator(cpu, seed, "control", step)
        rows = known[torch.randint(len(known), (BATCH,), generator=generator).numpy()]
        token_ids, _ = split.padded(rows)
        with torch.no_grad():
            embeddings = model.embedding(torch.from_numpy(token_ids).to(device))
        labels = torch.from_numpy(np.asarray(split.labels[label][rows], np.int64)).to(device)
        loss = classifier.loss(embeddings, model.signal, labels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        context.reporter.update("control", step + 1, num_steps, {"loss": loss.item()})
    return classifier.eval()


class _Judge:
    """A logistic regression on which words a text has, and how often it is right."""

    def __init__(self, corpus: Corpus, label: str) -> None:
        from sklearn.linear_model import LogisticRegression

        self._size = corpus.vocab_size
        words, classes = self._labelled(corpus.split("train"), label)
        self._model = LogisticRegression(max_iter=300).fit(words, classes)
        words, classes = self._labelled(corpus.split("test"), label)
        self.accuracy = float(self._model.score(words, classes))
        self.majority = float(np.bincount(classes).max() / len(classes))

    def classes(self, texts: list[np.ndarray]) -> np.ndarray:
        """Class ids (N,) of N texts as tokens."""
        return np.asarray(self._model.predict(self._words(texts)))

    def _labelled(self, split: Split, label: str) -> tuple[np.ndarray, np.ndarray]:
        rows = spread_rows(np.flatnonzero(split.labels[label] >= 0), MOST)
        token_ids, mask = split.padded(rows)
        texts = [ids[kept] for ids, kept in zip(token_ids, mask, strict=True)]
        return self._words(texts), np.asarray(split.labels[label][rows], np.int64)

    def _words(self, texts: list[np.ndarray]) -> np.ndarray:
        found = np.zeros((len(texts), self._size), np.float32)
        for row, ids in enumerate(texts):
            found[row, ids] = 1
        return found
