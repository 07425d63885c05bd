"""Where sentences end, for the probes that look at them one by one."""

import numpy as np

from workbench.probes.inputs.sentences import sentence_numbers


def test_sentences_end_at_their_punctuation():
    pieces = ["<eot>", "<unk>", "a", "b", ".", "!", '"', ",", "##c"]
    ids = np.array([[2, 7, 3, 4, 6, 3, 8, 5, 5, 6, 2, 0]])
    numbers = sentence_numbers(ids, ids > 0, pieces)
    assert numbers.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, -1]]
