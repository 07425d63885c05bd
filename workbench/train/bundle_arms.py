"""Export a run's held-out latents as a bundle, and import another model's bundle as an arm."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.config import settings
from workbench.errors import InputError
from workbench.store.atomic import publish
from workbench.store.lock import run_lock
from workbench.study.bundle import DESCRIPTION, Bundle, read_bundle, write_bundle
from workbench.study.bundle_labels import own_labels, write_labels
from workbench.study.folders import Run, Study
from workbench.train.latents import imported_fingerprint, open_latents
from workbench.train.texts import middle_cuts
from workbench.train.vae import load_vae

if TYPE_CHECKING:
    from data.corpus_store import Corpus, Split
    from workbench.machine.devices import Placement

ENCODED, ABSENT = "encoded", "absent"
SCALE = "scale.safetensors"


def export_run(run: Run, directory: Path, place: Placement) -> Path:
    """Write the held-out latents of a trained run as a bundle.

    Raises:
        InputError: the run has no latents yet, or itself came from a bundle.
    """
    if run.imported is not None:
        raise InputError(f"{run.name}: came from a bundle; pass that one on")
    if not (run.latents_dir / "test-mu.npy").is_file():
        raise InputError(f"{run.latents_dir}: no latents yet; run `train-flow` first")
    corpus = run.study.corpus
    split, stored, vae = (
        corpus.split("test"),
        open_latents(run.latents_dir, "test"),
        load_vae(run, place),
    )
    rows = np.arange(len(split))
    ids, mask = split.padded(rows)
    bundle = Bundle(
        texts=split.texts(rows),
        z=np.asarray(stored.mu[:, 0]),
        std=np.asarray(stored.std[:, 0]),
        mask=mask,
        cuts=stored.cuts[:, 0],
        tokens=[
            corpus.tokenizer.decode_tokens(row[kept]) for row, kept in zip(ids, mask, strict=True)
        ],
        offsets=split.token_offsets(rows),
        labels=named_labels(corpus, split),
        latent_mean=vae.latent_mean.cpu().numpy(),
        latent_std=vae.latent_std.cpu().numpy(),
        token_embedding=vae.token_embedding.weight.detach().float().cpu().numpy(),
        about={
            "provenance": {"study": run.study.config.name, "run": run.name, "space": "posterior"},
            "padding": ENCODED,
            "tokenizer": corpus.manifest["tokenizer_fingerprint"],
            "flow": settings.to_dict(run.config.flow),
        },
    )
    return write_bundle(directory, bundle)


def named_labels(corpus: Corpus, split: Split) -> dict[str, list[str | None]]:
    """Label set -> the class name of each text, None where it is missing."""
    return {
        name: [None if code < 0 else corpus.label_names[name][code] for code in codes]
        for name, codes in split.labels.items()
    }


def import_bundle(directory: Path, study: Study, arm: str = "", seed: int | None = None) -> Run:
    """Make a bundle an arm of a study, under one of its seeds: the first if None.

    If the bundle's tokens differ from the study's, each of the study's tokens gets the mean latent
    of the bundle's tokens that share characters with it. Latents that are not normalised are
    normalised per channel, over the bundle's texts.

    Raises:
        DamagedArtefactError, InputError: see `read_bundle`; or the texts or tokens are not the
            study's held-out ones, or the arm's name is taken.
    """
    bundle = read_bundle(directory)
    name = arm or re.sub(r"[^\w-]", "-", directory.resolve().name)
    run = Run(study, name, study.config.seeds[0] if seed is None else seed)
    check_arm(run)
    rows = _rows_of(bundle, study.corpus.split("test"), study.config.base.evaluation.probe_texts)
    arrays = _normalised(bundle, *_on_our_tokens(bundle, study.corpus, rows))
    labels = own_labels(bundle, rows, run)
    description = {
        **bundle.about,
        "width": int(bundle.z.shape[-1]),
        "per_token": bundle.mask is not None,
        "has_spread": bundle.std is not None,
        **({"labels": sorted(labels)} if labels else {}),
    }
    print_ = imported_fingerprint(study, description)
    with run_lock(study.directory), publish(run.latents_dir, meta={"fingerprint": print_}) as out:
        _write(out, bundle, arrays, study.corpus, rows)
        write_labels(out, labels)
        (out / DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True))
    return Run(study, run.arm, run.seed)


def check_arm(run: Run) -> None:
    """Refuse a name that is no folder's or that a trained arm has, and a seed of no other arm.

    Raises:
        InputError: naming the arm.
    """
    arms, seeds = run.study.config.arms, run.study.config.seeds
    if run.seed not in seeds:
        raise InputError(
            f"--seed {run.seed}: arms are compared seed by seed, and the study has {list(seeds)}"
        )
    if run.arm in arms or not re.fullmatch(r"[A-Za-z0-9][\w-]*", run.arm, re.ASCII):
        raise InputError(
            f"--arm {run.arm!r}: use letters, digits, - and _, and none of {', '.join(arms)}"
        )


def _rows_of(bundle: Bundle, split: Split, probed: int) -> np.ndarray:
    """(M,) the bundle's row for each held-out text, -1 if it has none.

    Raises:
        InputError: a text that the probes read is missing.
    """
    ours = split.texts(np.arange(len(split)))
    if list(bundle.texts) == ours:
        return np.arange(len(ours))
    places = {text: row for row, text in reversed(list(enumerate(bundle.texts)))}
    rows = np.array([places.get(text, -1) for text in ours], np.int64)
    missing = np.flatnonzero(rows[:probed] < 0)
    if len(missing):
        raise InputError(
            f"the bundle lacks {len(missing)} of the {min(probed, len(ours))} held-out texts that "
            f"the study probes, the first is {ours[missing[0]][:60]!r}; encode the texts that "
            "`held_out_texts` gives, or those of an exported run"
        )
    return rows


def _on_our_tokens(
    bundle: Bundle, corpus: Corpus, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """z (M, L, D), and std, on the study's tokens; (M, 1, D) for one latent per text."""
    if bundle.mask is None:
        std = None if bundle.std is None else _taken(bundle.std, rows)[:, None]
        return _taken(bundle.z, rows)[:, None], std
    split = corpus.split("test")
    if bundle.about.get("padding") == ENCODED and bundle.z.shape[1] == split.window:
        _same_tokens(bundle, corpus, rows)
        return _taken(bundle.z, rows), None if bundle.std is None else _taken(bundle.std, rows)
    if bundle.offsets is None:
        _same_tokens(bundle, corpus, rows)
        offsets: Sequence[np.ndarray] = split.token_offsets(rows)
    else:
        offsets = [bundle.offsets[row] if row >= 0 else np.zeros((0, 2), np.int64) for row in rows]
    values = (bundle.z, bundle.std)
    z, std = (None if v is None else _aligned(v, bundle.mask, offsets, split, rows) for v in values)
    assert z is not None
    return z, std


def _taken(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of `values` in the study's order; zeros where there is none."""
    return np.where((rows >= 0).reshape(-1, *[1] * (values.ndim - 1)), values[rows], 0)


def _same_tokens(bundle: Bundle, corpus: Corpus, rows: np.ndarray) -> None:
    """Check that a bundle without offsets has the study's own tokens.

    Raises:
        InputError: names the first text whose tokens differ.
    """
    split = corpus.split("test")
    ids, mask = split.padded(np.arange(len(split)))
    for row, (line, kept) in enumerate(zip(ids, mask, strict=True)):
        if rows[row] < 0:
            continue
        theirs = None if bundle.tokens is None else list(bundle.tokens[rows[row]])
        if theirs != corpus.tokenizer.decode_tokens(line[kept]):
            raise InputError(
                f"the bundle's tokens of held-out text {row} are not the study's, and it gives no "
                "starts and ends; add these to texts.parquet, or give one latent per text"
            )


def _aligned(
    values: np.ndarray,
    mask: np.ndarray,
    offsets: Sequence[np.ndarray],
    split: Split,
    rows: np.ndarray,
) -> np.ndarray:
    """(M, L, D) float32: each of our tokens gets the mean of theirs that share a character with it.

    Raises:
        InputError: one of our tokens shares no character with theirs.
    """
    from models.teachers.alignment import mean_over_ranges, overlaps

    found = np.zeros((len(split), split.window, values.shape[-1]), np.float32)
    for place, row in enumerate(rows):
        if row < 0:
            continue
        ours = split.token_offsets([place])[0].astype(np.int64)
        theirs = np.asarray(offsets[place], np.int64)
        states = np.asarray(values[row][mask[row]], np.float32)
        if np.array_equal(ours, theirs):  # the same tokens, those of white space alone included
            found[place, : len(ours)] = states
            continue
        kept = theirs[:, 1] > theirs[:, 0]
        solid = ours[:, 1] > ours[:, 0]
        first, last = overlaps(theirs[kept], ours)
        bare = np.flatnonzero((last <= first) & solid)
        if len(bare):
            start, end = ours[bare[0]]
            raise InputError(
                f"the bundle has no latent for characters {start} to {end} of held-out text "
                f"{place}, {split.texts([place])[0][start:end]!r}; encode whole texts"
            )
        averaged = mean_over_ranges(torch.from_numpy(states[kept]), first, last)
        found[place, : len(ours)] = averaged.numpy()
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Arrays:
    """Normalised latents of the study's held-out texts, and the mean and std that undo it."""

    mu: np.ndarray
    std: np.ndarray
    latent_mean: np.ndarray
    latent_std: np.ndarray


def _normalised(bundle: Bundle, z: np.ndarray, std: np.ndarray | None) -> _Arrays:
    spread = np.zeros_like(z) if std is None else std
    if bundle.latent_mean is not None and bundle.latent_std is not None:
        return _Arrays(
            mu=z, std=spread, latent_mean=bundle.latent_mean, latent_std=bundle.latent_std
        )
    real = np.abs(z).sum(axis=-1) > 0
    mean, deviation = z[real].mean(axis=0, dtype=np.float64), z[real].std(axis=0, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1.0)
    mu = np.where(real[..., None], (z - mean) / deviation, 0)
    return _Arrays(
        mu=mu.astype(np.float32),
        std=(spread / deviation).astype(np.float32),
        latent_mean=mean.astype(np.float32),
        latent_std=deviation.astype(np.float32),
    )


def _write(out: Path, bundle: Bundle, arrays: _Arrays, corpus: Corpus, rows: np.ndarray) -> None:
    """Write held-out latents as `latents.encode_latents` stores them, and `scale.safetensors`."""
    from safetensors.numpy import save_file

    cuts = middle_cuts(corpus.split("test").lengths)
    if bundle.cuts is not None:
        cuts = np.where(rows >= 0, bundle.cuts[rows], cuts)
    np.save(out / "test-mu.npy", arrays.mu[:, None])
    np.save(out / "test-std.npy", arrays.std[:, None])
    np.save(out / "test-cuts.npy", cuts[:, None].astype(np.int64))
    scale: dict[str, Any] = {"mean": arrays.latent_mean, "std": arrays.latent_std}
    same = bundle.about.get("tokenizer") == corpus.manifest["tokenizer_fingerprint"]
    if bundle.token_embedding is not None and same:
        scale["token_embedding"] = bundle.token_embedding
    save_file({name: np.ascontiguousarray(value) for name, value in scale.items()}, out / SCALE)
