"""Models of ``transformers`` at tiny size, for the tests of ``from_torch``."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch_modules_made_up import real, tokens  # noqa: E402

DECODER = {
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
GROUPED = DECODER | {"num_key_value_heads": 1}
ENCODER = {key: value for key, value in DECODER.items() if "token_id" not in key}
IMAGES = {"image_size": 8, "patch_size": 4, "num_channels": 1}
POSITIONS = 5


def model(family, head, **options):
    """A model of ``transformers`` with random weights."""
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, family + head)(getattr(transformers, family + "Config")(**options)).eval()


def padded(**more):
    """Tokens and a mask that leaves out the last ones of every second example."""

    def mask(n, g):
        seen = torch.ones(n, POSITIONS, dtype=torch.int64)
        seen[1::2, 3:] = 0
        return seen

    return {"input_ids": tokens(POSITIONS, 11), "attention_mask": mask, **more}


def decoder(family, options, head="ForCausalLM", **more):
    return lambda: model(family, head, **options, **more)


IDS = tokens(POSITIONS, 11)
T5 = {"vocab_size": 11, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}

TRANSFORMERS = {
    "GPT-NeoX": (decoder("GPTNeoX", DECODER), IDS),
    "LLaMA": (decoder("Llama", GROUPED), IDS),
    "Mistral, sliding window": (decoder("Mistral", GROUPED, sliding_window=3), IDS),
    "Qwen2": (decoder("Qwen2", GROUPED), IDS),
    "Qwen3": (decoder("Qwen3", GROUPED, head_dim=4), IDS),
    "Gemma 2": (decoder("Gemma2", GROUPED, head_dim=4), IDS),
    "Phi": (decoder("Phi", DECODER), IDS),
    "OPT": (
        lambda: model(
            "OPT", "ForCausalLM", vocab_size=11, hidden_size=8, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=8, word_embed_proj_dim=8, pad_token_id=2, bos_token_id=0, eos_token_id=1,
        ),
        IDS,
    ),
    "BLOOM": (
        lambda: model("Bloom", "ForCausalLM", vocab_size=11, hidden_size=8, n_layer=1, n_head=2, pad_token_id=2,
                      bos_token_id=0, eos_token_id=1),
        IDS,
    ),
    "GPT-2, padded": (
        lambda: model("GPT2", "LMHeadModel", vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2,
                      bos_token_id=0, eos_token_id=1),
        padded(),
    ),
    "BERT, padded": (decoder("Bert", ENCODER, "Model"), padded(token_type_ids=tokens(POSITIONS, 2)), "pooler_output"),
    "RoBERTa, classifier": (
        decoder("Roberta", ENCODER | {"max_position_embeddings": 12}, "ForSequenceClassification", pad_token_id=2,
                num_labels=3),
        padded(),
    ),
    "T5, encoder and decoder": (
        lambda: model("T5", "ForConditionalGeneration", **T5, decoder_start_token_id=0),
        padded(decoder_input_ids=tokens(4, 11)),
    ),
    "Mamba": (
        lambda: model("Mamba", "ForCausalLM", vocab_size=11, hidden_size=8, state_size=3, num_hidden_layers=1,
                      time_step_rank=2, use_mambapy=False, bos_token_id=0, eos_token_id=1, pad_token_id=2),
        tokens(4, 11),
    ),
    "ViT": (
        lambda: model("ViT", "Model", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                      **IMAGES),
        {"pixel_values": real(1, 8, 8)},
        0,
    ),
    "ConvNeXt": (
        lambda: model("ConvNext", "ForImageClassification", num_channels=1, patch_size=2, hidden_sizes=[4, 8],
                      depths=[1, 1], num_stages=2, num_labels=3),
        real(1, 8, 8),
    ),
    "Swin": (
        lambda: model("Swin", "ForImageClassification", image_size=8, patch_size=2, num_channels=1, embed_dim=4,
                      depths=[2], num_heads=[2], window_size=2, num_labels=3),
        real(1, 8, 8),
    ),
}  # fmt: skip
