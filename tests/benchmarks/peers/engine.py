"""One peer in a process of its own: says when it is ready, then answers on stdout each request, a line of stdin.

  python -m tests.benchmarks.peers.engine llama.cpp FILE THREADS
  {"do": "prefill", "tokens": 2048}                 -> {"seconds": 1.9}
  {"do": "decode", "context": 1024, "tokens": 64}   -> {"seconds_per_token": 0.011}

Prefill: all tokens of a prompt that no cache knows, with the logits of the last. Decode: the mean over the tokens
behind a prompt. A process waits without work, so that engines can take turns on the same cores.
"""

import json
import sys
import time


def _ids(count: int, vocabulary: int, seed: int) -> list[int]:
  """Plain tokens; another `seed`, another prompt, which no prefix cache knows."""
  return [100 + (seed * 104729 + i * 7919) % (vocabulary - 100) for i in range(count)]


_TRIAL_TOKENS = 512


def _faster(engines):
  """Of engines that differ in their arithmetic, the one that reads a prompt sooner: cores can be slower with bf16."""

  def seconds(engine) -> float:
    engine.prefill(_TRIAL_TOKENS)
    return min(engine.prefill(_TRIAL_TOKENS) for _ in range(2))

  return min(engines, key=seconds)


class LlamaCpp:
  """llama-cpp-python with flash attention."""

  def __init__(self, path: str, threads: int):
    import llama_cpp  # pylint: disable=import-outside-toplevel

    self._llama = llama_cpp.Llama(
      model_path=path, n_ctx=8192, n_batch=2048, n_ubatch=512, n_threads=threads, n_threads_batch=threads,
      flash_attn=True, verbose=False,
    )  # fmt: skip
    self._vocabulary = self._llama.n_vocab()
    self._seed = 0

  def prefill(self, tokens: int) -> float:
    self._seed += 1
    self._llama.reset()
    ids = _ids(tokens, self._vocabulary, self._seed)
    begin = time.perf_counter()
    self._llama.eval(ids)
    return time.perf_counter() - begin

  def decode(self, context: int, tokens: int) -> float:
    self.prefill(context)
    begin = time.perf_counter()
    for _ in range(tokens):
      self._llama.eval([self._llama.sample(temp=0)])
    return (time.perf_counter() - begin) / tokens


class OpenVino:
  """OpenVINO GenAI's pipeline on the CPU."""

  def __init__(self, path: str, threads: int, precision: str):
    import openvino_genai  # pylint: disable=import-outside-toplevel

    self._genai = openvino_genai
    self._pipeline = openvino_genai.LLMPipeline(
      path, "CPU", INFERENCE_NUM_THREADS=threads, INFERENCE_PRECISION_HINT=precision
    )
    self._seed = 0

  @classmethod
  def fastest(cls, path: str, threads: int) -> "OpenVino":
    return _faster([cls(path, threads, precision) for precision in ("bf16", "f32")])

  def _generate(self, context: int, tokens: int):
    import numpy  # pylint: disable=import-outside-toplevel
    import openvino  # pylint: disable=import-outside-toplevel

    self._seed += 1
    ids = numpy.array([_ids(context, 49152, self._seed)], dtype=numpy.int64)
    inputs = self._genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    config = self._genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
    return self._pipeline.generate(inputs, config).perf_metrics

  def prefill(self, tokens: int) -> float:
    return self._generate(tokens, 1).get_ttft().mean / 1000

  def decode(self, context: int, tokens: int) -> float:
    return self._generate(context, tokens + 1).get_tpot().mean / 1000


class Transformers:
  """transformers' own generation pass, SDPA attention."""

  def __init__(self, path: str, threads: int, dtype: str):
    import torch  # pylint: disable=import-outside-toplevel
    import transformers  # pylint: disable=import-outside-toplevel

    torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
    self._torch = torch
    self._model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
    self._seed = 0

  @classmethod
  def fastest(cls, path: str, threads: int) -> "Transformers":
    return _faster([cls(path, threads, dtype) for dtype in ("bfloat16", "float32")])

  def _run(self, ids, cache=None):
    with self._torch.inference_mode():
      return self._model(self._torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)

  def prefill(self, tokens: int) -> float:
    self._seed += 1
    ids = _ids(tokens, self._model.config.vocab_size, self._seed)
    begin = time.perf_counter()
    self._run(ids)
    return time.perf_counter() - begin

  def decode(self, context: int, tokens: int) -> float:
    out = self._run(_ids(context, self._model.config.vocab_size, 0))
    begin = time.perf_counter()
    for _ in range(tokens):
      out = self._run([int(out.logits[0, -1].argmax())], out.past_key_values)
    return (time.perf_counter() - begin) / tokens


ENGINES = {"llama.cpp": LlamaCpp, "openvino": OpenVino.fastest, "transformers": Transformers.fastest}


def main() -> int:
  name, path, threads = sys.argv[1:]
  answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
  engine = ENGINES[name](path, int(threads))
  print(json.dumps({"ready": True}), file=answers, flush=True)
  for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "prefill":
      answer = {"seconds": engine.prefill(request["tokens"])}
    else:
      answer = {"seconds_per_token": engine.decode(request["context"], request["tokens"])}
    print(json.dumps(answer), file=answers, flush=True)
  return 0


if __name__ == "__main__":
  sys.exit(main())
