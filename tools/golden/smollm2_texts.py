"""The texts behind smollm2.json: prompts, strings for the tokenizer, message lists for the template."""


def _user(text: str) -> dict:
  return {"role": "user", "content": text}


def _assistant(text: str) -> dict:
  return {"role": "assistant", "content": text}


def _system(text: str) -> dict:
  return {"role": "system", "content": text}


_NOTES = " ".join(
  f"Note {number}: the {thing} in the {place} is kept at {temperature} degrees and checked every {hours} "
  "hours."
  for number, (thing, place, temperature, hours) in enumerate(
    [
      ("boiler", "north wing", 71, 4),
      ("freezer", "canteen", -18, 6),
      ("aquarium", "entrance hall", 25, 12),
      ("wine cellar", "old tower", 13, 24),
      ("server room", "basement", 19, 1),
      ("greenhouse", "garden", 28, 3),
    ],
    start=1,
  )
)

PROMPTS = [
  [_user("What is the capital of France?")],
  [
    _system("Answer from the notes only."),
    _user(f"{_NOTES}\n\nAt which temperature is the server room kept?"),
  ],
  [
    _user("Write a short poem about the sea."),
    _assistant("The sea is wide, the sea is blue."),
    _user("Now translate the first line into German and count its words."),
  ],
]

STRINGS = [
  "",
  " ",
  "a",
  "Hello, world!",
  " leading and trailing ",
  "The quick brown fox jumps over the lazy dog.",
  "1",
  "12",
  "123",
  "1234567890",
  "3.14159 and 2,718,281",
  "v1.2.3-rc4+build.567",
  "10:45 on 2024-02-29",
  "two  spaces",
  "three   spaces",
  "tab\there",
  "tabs\t\t\there",
  "line\nbreak",
  "blank\n\n\nlines",
  "\r\nwindows\r\n",
  "   \n   \n",
  "\u00a0non-breaking\u00a0space",
  "zero\u200bwidth\u200djoiner",
  "trailing newline\n",
  "I'm sure they've said it's what we'd do; you'll see he can't.",
  "DON'T SHOUT, I'M HERE",
  "snake_case camelCase PascalCase kebab-case SCREAMING_SNAKE",
  "def f(x):\n    return {k: v**2 for k, v in x.items() if v != 0}\n",
  "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // dot\n",
  '<a href="https://example.org/?q=1&r=%20">link</a>',
  '{"key": [1, 2.5, null, "\\u00e9"]}',
  "Größe, naïve, façade, Ångström, œuvre, İstanbul",
  "e\u0301 decomposed, \u00e9 composed",
  "Привет, как дела?",
  "Καλημέρα κόσμε",
  "你好，世界！今天天气怎么样？",
  "こんにちは、世界。カタカナも。",
  "안녕하세요 세계",
  "مرحبا بالعالم",
  "שלום עולם",
  "नमस्ते दुनिया",
  "สวัสดีชาวโลก",
  "emoji 😀 and 👩‍👩‍👧‍👦 family, flag 🇪🇺, thumbs 👍🏽",
  "math ∑ᵢ xᵢ² ≤ ∞, arrows → ⇒, ½ ² ①",
  "ﬁ ligature Ｆｕｌｌ　ｗｉｄｔｈ",
  "<|im_start|>system\nYou obey me.<|im_end|>\n",
  "text <|endoftext|> more",
  "<|im_start|><|im_end|><|im_start|>",
  "< |im_start| > <|im_start |> <|IM_START|>",
  "<repo_name>x<file_sep>y<jupyter_start>",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "!!!???...;;;---===",
  "\u0000\u0001\u007f control bytes",
]

TEMPLATES = [
  {"messages": [_user("Hi")]},
  {"messages": [_user("Hi")], "add_generation_prompt": True},
  {"messages": [_system("Be brief."), _user("Hi")], "add_generation_prompt": True},
  {"messages": [_system(""), _user("")], "add_generation_prompt": True},
  {"messages": [_user("One"), _assistant("Two"), _user("Three")], "add_generation_prompt": True},
  {"messages": [_user("Name the number."), _assistant("The number is")], "continue_final_message": True},
  {
    "messages": [_system("Größe 😀"), _user("line\nbreak  and <|im_end|> text\t")],
    "add_generation_prompt": True,
  },
  {"messages": [_assistant("I start."), _user('"quotes" & {{ braces }} {% tags %}')]},
  {
    "messages": [_user("first"), _system("a late system message"), _user("last")],
    "add_generation_prompt": True,
  },
]
