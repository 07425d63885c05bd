"""The verbs of the command line, by name."""

from collections.abc import Callable
from typing import Any

from workbench.cli import bundles, look, machines, results, studies, tasks

VERBS: dict[str, Callable[..., Any]] = {
    "demo": studies.demo,
    "study": studies.study,
    "example": studies.example,
    "prepare": machines.prepare,
    "finish-run": machines.finish_run,
    "conclude": machines.conclude,
    "train-vae": studies.train_vae,
    "train-flow": studies.train_flow,
    "train-generator": studies.train_generator,
    "probe": studies.probe,
    "evaluate": studies.evaluate,
    "sample": results.sample,
    "control": tasks.control,
    "infill": tasks.infill,
    "frontier": results.frontier,
    "compare": results.compare,
    "report": results.report,
    "scorecard": results.scorecard,
    "export": bundles.export_bundle,
    "encode": bundles.encode,
    "import": bundles.import_bundle,
    "runs": look.runs,
    "verify": look.verify,
    "doctor": look.doctor,
    "app": results.app,
    "generators": look.generators,
    "probes": look.probes,
    "presets": look.presets,
}
