"""The four small models of the parity files: one per family, each with what is special about the family."""

import torch
import transformers

import formula_weights

_COMMON = {
  "hidden_act": "silu",
  "hidden_size": 128,
  "intermediate_size": 256,
  "num_hidden_layers": 4,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "vocab_size": 320,
  "max_position_embeddings": 512,
  "rms_norm_eps": 1e-5,
  "attention_dropout": 0.0,
  "bos_token_id": None,
  "eos_token_id": None,
  "pad_token_id": None,
  "torch_dtype": "float32",
  "use_cache": True,
  "initializer_range": 0.02,
}

# config.json of each family. The llama3 scaling starts at 32 positions, so that it acts within the input.
CONFIGS = {
  "llama": {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    **_COMMON,
    "head_dim": 32,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "rope_scaling": {
      "rope_type": "llama3",
      "factor": 8.0,
      "low_freq_factor": 1.0,
      "high_freq_factor": 4.0,
      "original_max_position_embeddings": 32,
    },
  },
  "mistral": {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    **_COMMON,
    "head_dim": 64,
    "rope_theta": 1000000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "sliding_window": None,
  },
  "qwen2": {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    **_COMMON,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "sliding_window": None,
    "max_window_layers": 4,
  },
  "qwen3": {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    **_COMMON,
    "rms_norm_eps": 1e-6,
    "head_dim": 64,
    "rope_theta": 1000000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "max_window_layers": 4,
  },
}

_CLASSES = {
  "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
  "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
  "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
  "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}


def build(family: str) -> torch.nn.Module:
  """The family's model in fp32 with formula weights and eager attention."""
  config_class, model_class = _CLASSES[family]
  config = config_class.from_dict(dict(CONFIGS[family]))
  config._attn_implementation = "eager"  # pylint: disable=protected-access
  model = model_class(config).to(torch.float32).eval()
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      parameter.copy_(torch.from_numpy(formula_weights.tensor(name, tuple(parameter.shape))))
  return model


def tensor_shapes(model: torch.nn.Module) -> dict[str, list[int]]:
  """Hugging Face tensor names and shapes; a tied head is listed once, as the embedding."""
  return {name: list(parameter.shape) for name, parameter in model.named_parameters()}
