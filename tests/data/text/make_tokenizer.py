"""Makes tests/data/text/tiny-chatml: a byte-level BPE tokenizer with 1024 ids and a ChatML template.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 transformers==5.23.0 jinja2==3.1.6
    /tmp/venv/bin/python tests/data/text/make_tokenizer.py && /tmp/venv/bin/python tests/data/text/make_golden.py

Trained on the text below, which was written for this project. The same versions give the same file.
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
VOCABULARY_SIZE = 1024
CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

CORPUS = """
The harbour of Port Alder opens to the west. Every morning at 05:40 the first ferry leaves for the island of Senn, and
returns at 09:15 with fish, letters and the two teachers who live there. The ferry carries 48 passengers and 6 cars.
A chunk is a piece of a document. The cache keeps the keys and values of a chunk, so that the model \
does not compute them
again. When a question arrives, the selector chooses the tokens that matter, and only those tokens are computed anew.
What is the capital of France? The capital of France is Paris. What is the capital of Norway? It is Oslo.
One of the special magic numbers for harbour is: 7241983. One of the special magic words for lantern is: quiet-river.
# Heading one
## The lighthouse
The lighthouse of Port Alder was built in 1874 from grey granite. Its lamp turned once in 12 \
seconds. In 1931 the keeper,
Ines Marlow, wrote: "The fog came in at four o'clock and did not lift until Thursday." She counted 31 ships that week.
- First item: a rope of 20 metres
- Second item: two lamps, oil and wick
1. Open the valve. 2. Wait for three minutes. 3. Close it again.
def add(first, second):
    return first + second
for (int i = 0; i < 10; ++i) { sum += values[i]; }
{"name": "value", "list": [1, 2, 3], "nested": {"empty": null, "truth": true}}
You are a helpful assistant. Answer the question from the documents. If the documents do not contain the answer, say so.
system user assistant document question answer prefix suffix context token number the and of to in is that for it was
The river Tamsel rises in the hills above Greyford, passes the mill, and reaches the sea after 143 kilometres.
Bread is baked from flour, water, salt and yeast; the dough rests for two hours before it is shaped \
and baked at 230 degrees.
Der Hafen öffnet sich nach Westen. Die Fähre fährt jeden Morgen um 05:40 Uhr; das Fräulein grüßt höflich.
Le phare a été bâti en 1874. La lumière éclairait la côte, même pendant l'été. Où est la bibliothèque?
El barco salió del puerto por la mañana y volvió al anochecer. ¿Cuántos años tiene el niño?
Корабль вышел из гавани на рассвете и вернулся вечером. Маяк построен из серого гранита.
港は西に開いている。毎朝、最初の船が島へ出る。 灯台は一八七四年に建てられた。
渡轮每天早上离开港口。灯塔是用灰色花岗岩建造的。
항구는 서쪽으로 열려 있다. 등대는 회색 화강암으로 지어졌다.
الميناء مفتوح إلى الغرب. بنيت المنارة من الحجر الرمادي.
Prices: 12,50 € and $3.99; 100 % of 2048 is 2048; 3 + 4 = 7; x_1 = 0.25e-3; https://example.org/a?b=c&d=e
Smiles 🙂 and ships 🚢, families 👨‍👩‍👧 and flags 🇳🇴.
"""

TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main():
    tokenizer = Tokenizer(models.BPE())
    # Single digits, as SmolLM2's; then the usual byte-level words with their leading space.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS * 3], trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY_SIZE, tokenizer.get_vocab_size()

    folder = HERE / "tiny-chatml"
    folder.mkdir(exist_ok=True)
    text = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=0)
    (folder / "tokenizer.json").write_text(text + "\n")
    config = {
        "add_bos_token": False,
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|im_end|>",
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 8192,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
