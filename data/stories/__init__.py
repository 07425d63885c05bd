"""The built-in corpus: short English stories from a seeded grammar, with known facts and labels.

A story has a hero of some kind, a companion, a coloured object, a place, a mood, a weather and a
time of day. Its second half mentions most of them again, so that whoever continues the first half
has to carry them over. Causes have their own effects (snow makes cold, hot soup helps).
"""

from data.stories.describe import StoriesDescription, describe_stories
from data.stories.generate import StoriesConfig, generate_stories
from data.stories.lexicon import FACT_VALUES
from data.stories.plots import PLOT_NAMES

__all__ = [
    "FACT_VALUES",
    "PLOT_NAMES",
    "StoriesConfig",
    "StoriesDescription",
    "describe_stories",
    "generate_stories",
]
