"""Tiny transformers models with tokenizers trained on the spot, saved as a user would have them."""

from pathlib import Path

import torch

TEXTS = [
    "The old baker lost a silver key near the harbour.",
    "It rained all day, so Anna stayed home.",
    "Sam smiled.",
    "A café at noon – naïve, quiet and warm.",
    "the the the key key rained, rained and rained again until Sam found the key.",
]
LAYERS = 4
WIDTH = 16


def save_tiny_bert(directory: Path, max_length: int = 64) -> Path:
    """A masked LM with WordPiece, [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=max_length,
    )
    return _save(BertModel, config, tokenizer, directory, "[PAD]")


def save_tiny_gpt2(directory: Path) -> Path:
    """A causal LM with learnt positions and byte-level BPE, without special tokens."""
    from transformers import GPT2Config, GPT2Model

    tokenizer = _byte_level()
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=2,
        n_positions=64,
    )
    return _save(GPT2Model, config, tokenizer, directory, None)


def save_tiny_qwen(directory: Path) -> Path:
    """A causal LM with rotary positions and a final norm, the architecture of the paper's."""
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = _byte_level()
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    return _save(Qwen3Model, config, tokenizer, directory, None)


def save_tiny_roberta(directory: Path, table: int = 66) -> Path:
    """A masked LM whose positions start one past the padding id, 1."""
    from transformers import RobertaConfig, RobertaModel

    tokenizer = _byte_level(("<s>", "<pad>", "</s>"))
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=table,
    )
    return _save(RobertaModel, config, tokenizer, directory, "<pad>")


def save_tiny_bloom(directory: Path) -> Path:
    """A causal LM with a bias for distance and no limit of positions."""
    from transformers import BloomConfig, BloomModel

    tokenizer = _byte_level()
    config = BloomConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=WIDTH, n_layer=LAYERS, n_head=2
    )
    return _save(BloomModel, config, tokenizer, directory, None)


def save_tiny_mamba(directory: Path) -> Path:
    """A state space model, without attention and without a limit of positions."""
    from transformers import MambaConfig, MambaModel

    tokenizer = _byte_level()
    config = MambaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        state_size=4,
    )
    return _save(MambaModel, config, tokenizer, directory, None)


def save_tiny_xlnet(directory: Path) -> Path:
    """Attends both ways without being a masked LM, and keeps the batch in its second dimension."""
    from transformers import XLNetConfig, XLNetModel

    tokenizer = _byte_level()
    config = XLNetConfig(
        vocab_size=tokenizer.get_vocab_size(), d_model=WIDTH, n_layer=LAYERS, n_head=2, d_inner=32
    )
    return _save(XLNetModel, config, tokenizer, directory, None)


def save_tiny_gemma3(directory: Path) -> Path:
    """A model of texts and images, its text part a causal LM."""
    from transformers import Gemma3Config, Gemma3Model

    tokenizer = _byte_level()
    config = Gemma3Config(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 32,
            "max_position_embeddings": 64,
        },
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "image_size": 28,
            "patch_size": 14,
        },
    )
    return _save(Gemma3Model, config, tokenizer, directory, None)


def save_tiny_t5(directory: Path) -> Path:
    """An encoder-decoder whose encoder alone is used, with an end mark after every text."""
    from tokenizers import processors
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _byte_level(("<pad>", "</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
    )
    return _save(T5ForConditionalGeneration, config, tokenizer, directory, "<pad>")


SAVERS = {
    "bert": save_tiny_bert,
    "bloom": save_tiny_bloom,
    "gemma3": save_tiny_gemma3,
    "gpt2": save_tiny_gpt2,
    "mamba": save_tiny_mamba,
    "qwen": save_tiny_qwen,
    "roberta": save_tiny_roberta,
    "xlnet": save_tiny_xlnet,
}


def _byte_level(special_tokens: tuple[str, ...] = ("<|endoftext|>",)):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=alphabet, special_tokens=list(special_tokens)
        ),
    )
    return tokenizer


def _save(model_class, config, tokenizer, directory: Path, pad_token: str | None) -> Path:
    from transformers import PreTrainedTokenizerFast

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config)
        # Untrained layers barely move their input; larger weights make every layer distinct.
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(directory)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    if pad_token is not None:
        fast.pad_token = pad_token
    fast.save_pretrained(directory)
    return directory
