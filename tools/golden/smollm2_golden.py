"""smollm2.json: what transformers and tokenizers say about SmolLM2-135M-Instruct.

Fields: `prompts` (messages, rendered text, ids, the 50 largest logits of the last row as `top_ids` and
`top_logits`, 200 further ones as `sampled_ids`/`sampled_logits`, 64 greedy tokens that do not stop at the end
token, and their smallest lead), `tokenizer` (text; `ids` and `byte_spans` when control tokens in the text
count as such; `plain_ids` and `plain_byte_spans` where encoding them as plain text differs; no special tokens
are added) and `templates` (messages, options, rendered text).
A byte span is [begin, end) in the UTF-8 text; tokens that share a character have the whole character.
"""

import pathlib

import torch
import transformers

import greedy
import smollm2_texts

_NUM_TOP = 50
_NUM_SAMPLED = 200
_NUM_GREEDY = 64


def golden(model_dir: pathlib.Path) -> dict:
  tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
  model = transformers.AutoModelForCausalLM.from_pretrained(
    model_dir, dtype=torch.float32, attn_implementation="eager"
  ).eval()
  return {
    "model": "SmolLM2-135M-Instruct",
    "prompts": [_prompt(model, tokenizer, messages) for messages in smollm2_texts.PROMPTS],
    "tokenizer": [_encoding(tokenizer.backend_tokenizer, text) for text in smollm2_texts.STRINGS],
    "templates": [_template(tokenizer, **case) for case in smollm2_texts.TEMPLATES],
  }


def _prompt(model: torch.nn.Module, tokenizer, messages: list[dict]) -> dict:
  text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
  ids = tokenizer(text, add_special_tokens=False)["input_ids"]
  last = greedy.all_logits(model, ids)[-1]
  top = torch.from_numpy(last).topk(_NUM_TOP).indices.tolist()
  stride = last.size // _NUM_SAMPLED
  sampled = [index * stride + index % stride for index in range(_NUM_SAMPLED)]
  tokens, lead = greedy.decode(model, ids, _NUM_GREEDY)
  return {
    "messages": messages,
    "text": text,
    "ids": ids,
    "top_ids": top,
    "top_logits": greedy.numbers(last[top]),
    "sampled_ids": sampled,
    "sampled_logits": greedy.numbers(last[sampled]),
    "greedy": tokens,
    "greedy_smallest_lead": lead,
    "greedy_text": tokenizer.decode(tokens),
  }


def _byte_spans(text: str, offsets: list[tuple[int, int]]) -> list[list[int]]:
  starts = [0]
  for character in text:
    starts.append(starts[-1] + len(character.encode("utf-8")))
  return [[starts[begin], starts[end]] for begin, end in offsets]


def _encoding(tokenizer, text: str) -> dict:
  tokenizer.encode_special_tokens = False
  parsed = tokenizer.encode(text, add_special_tokens=False)
  tokenizer.encode_special_tokens = True
  plain = tokenizer.encode(text, add_special_tokens=False)
  tokenizer.encode_special_tokens = False
  result = {"text": text, "ids": parsed.ids, "byte_spans": _byte_spans(text, parsed.offsets)}
  if plain.ids != parsed.ids:
    result["plain_ids"] = plain.ids
    result["plain_byte_spans"] = _byte_spans(text, plain.offsets)
  return result


def _template(
  tokenizer, messages: list[dict], add_generation_prompt: bool = False, continue_final_message: bool = False
) -> dict:
  text = tokenizer.apply_chat_template(
    messages,
    add_generation_prompt=add_generation_prompt,
    continue_final_message=continue_final_message,
    tokenize=False,
  )
  return {
    "messages": messages,
    "add_generation_prompt": add_generation_prompt,
    "continue_final_message": continue_final_message,
    "text": text,
  }
