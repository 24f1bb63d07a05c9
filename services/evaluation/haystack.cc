#include "services/evaluation/haystack.h"

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace cacheclip {
namespace {

constexpr const char* kNoise[] = {"The grass is green.", "The sky is blue.", "The sun is yellow.",
                                  "Here we go.", "There and back again."};

// {p} a person, {t} a thing, {w} where, {a} what it is like, {m} when.
constexpr const char* kEssay[] = {
    "{m} {p} walked {w} and thought about the {t} for a long time.",
    "The {a} {t} stood {w}, and hardly anybody noticed it.",
    "Nobody could say why the {t} looked so {a} {m}.",
    "{p} had learnt early that a {a} {t} is worth more than two of the other kind.",
    "People {w} used to say that every {t} has a {a} side.",
    "It is easy to forget how {a} a {t} can be when one lives {w}.",
    "What makes a {t} useful is seldom what makes it {a}.",
    "{m} the talk turned to the {t} again, and {p} listened without a word.",
    "A good idea often begins with a {a} {t} and ends somewhere {w}.",
    "The work went slowly, because the {t} had to be cleaned {m}.",
    "{p} wrote a letter about it, but left out the part about the {a} {t}.",
    "Most people who try to build a {t} give up {w}.",
    "There was a time when one could buy a {t} {w} for almost nothing.",
    "In the end {p} kept the {t} and gave the {a} one away.",
    "If you want to understand a {t}, look at it {m}.",
    "The path {w} was {a}, so {p} took the longer one.",
    "{m} the rain stopped, and the {t} began to dry.",
    "The price of a {t} depends on who asks, {p} explained.",
    "One should not start a company {w} only because the {t} is {a}.",
    "They argued about the {t} until it was too dark to see {w}.",
};
constexpr const char* kPeople[] = {"my neighbour",    "an old teacher", "the baker", "her brother",
                                   "a young painter", "the gardener",   "his aunt",  "a visitor",
                                   "the clerk",       "the carpenter"};
constexpr const char* kThings[] = {"clock", "bridge", "notebook", "boat",   "garden",  "window",
                                   "lamp",  "engine", "painting", "kettle", "orchard", "bicycle",
                                   "piano", "fence",  "library",  "basket", "map",     "stove"};
constexpr const char* kPlaces[] = {"near the river",     "behind the market",       "in the valley",
                                   "on the upper floor", "at the edge of the town", "by the old mill",
                                   "along the coast",    "in the next street",      "under the trees",
                                   "beyond the fields"};
constexpr const char* kQualities[] = {"quiet",   "plain", "heavy",   "strange", "bright",  "narrow",
                                      "patient", "worn",  "careful", "simple",  "crooked", "famous"};
constexpr const char* kTimes[] = {
    "In the morning",         "Late in autumn", "After supper",     "On Sundays",   "Before the holidays",
    "During the long winter", "At noon",        "Some years later", "That evening", "In early spring"};
constexpr const char* kFirstWords[] = {
    "amber",  "brisk",  "calm",   "dusty",  "eager",  "faint",  "gentle", "hollow", "icy",    "jolly",
    "keen",   "lucky",  "mellow", "noble",  "odd",    "proud",  "quick",  "rusty",  "silent", "tall",
    "ugly",   "vivid",  "warm",   "young",  "zesty",  "bitter", "clever", "deep",   "early",  "fancy",
    "golden", "humble", "inner",  "little", "modern", "nearby", "open",   "polite", "rough",  "sharp"};
constexpr const char* kSecondWords[] = {
    "anchor",  "barrel", "candle", "dagger", "eagle",    "falcon", "guitar",  "hammer",  "island", "jacket",
    "kitten",  "ladder", "mirror", "needle", "onion",    "pepper", "quarry",  "ribbon",  "saddle", "teapot",
    "urchin",  "violin", "wagon",  "yacht",  "zebra",    "arrow",  "bucket",  "castle",  "drum",   "elbow",
    "feather", "goblet", "helmet", "insect", "jungle",   "kernel", "lemon",   "magnet",  "napkin", "oven",
    "pillow",  "rocket", "spider", "tunnel", "umbrella", "valley", "whistle", "blanket", "copper", "desert"};
constexpr const char* kSyllables[] = {"bra", "vel", "tor", "min", "sa", "ler", "dun", "ka", "ros", "wen",
                                      "hal", "pri", "os",  "mar", "ti", "gor", "len", "fa", "nor", "qui"};

template <size_t N>
const char* Any(const char* const (&words)[N], Random& random) {
  return words[random.Below(static_cast<int>(N))];
}

std::string Capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

// A time stands at the start of a sentence or further in, where it is written small.
std::string Lowered(std::string text) {
  if (!text.starts_with("Sunday")) text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

// `count` results of `make` that differ.
template <typename Make>
std::vector<std::string> MakeDifferent(int count, Make make) {
  std::set<std::string> seen;
  std::vector<std::string> result;
  while (static_cast<int>(result.size()) < count)
    if (std::string name = make(); seen.insert(name).second) result.push_back(std::move(name));
  return result;
}

std::string HexDigits(Random& random, int count) {
  std::string digits;
  for (int i = 0; i < count; ++i) digits.push_back("0123456789abcdef"[random.Below(16)]);
  return digits;
}

// Sentences of one chunk with its inserts among them.
std::string Compose(std::vector<std::string> sentences, const std::vector<const Insert*>& inserts,
                    Random& random) {
  std::string head, tail;
  for (const Insert* insert : inserts) {
    if (insert->place == Insert::Place::kHead) {
      absl::StrAppend(&head, insert->text, " ");
    } else if (insert->place == Insert::Place::kTail) {
      absl::StrAppend(&tail, " ", insert->text);
    } else {
      const int at = random.Below(static_cast<int>(sentences.size()) + 1);
      sentences.insert(sentences.begin() + at, insert->text);
    }
  }
  return absl::StrCat(head, absl::StrJoin(sentences, " "), tail);
}

}  // namespace

std::string NoiseSentence(int position) { return kNoise[position % static_cast<int>(std::size(kNoise))]; }

std::string EssaySentence(Random& random) {
  const std::string pattern = Any(kEssay, random);
  const std::string time = Any(kTimes, random);
  return Capitalised(
      absl::StrReplaceAll(pattern, {{"{p}", Any(kPeople, random)},
                                    {"{t}", Any(kThings, random)},
                                    {"{w}", Any(kPlaces, random)},
                                    {"{a}", Any(kQualities, random)},
                                    {"{m}", pattern.starts_with("{m}") ? time : Lowered(time)}}));
}

std::vector<std::string> FillChunks(const SampleShape& shape, const std::vector<Insert>& inserts,
                                    const std::function<std::string()>& next_sentence, Random& random,
                                    const TokenCount& count_tokens) {
  std::vector<std::string> chunks;
  for (int chunk_index = 0; chunk_index < shape.num_chunks(); ++chunk_index) {
    int left = shape.chunk_tokens;
    std::vector<const Insert*> own;
    for (const Insert& insert : inserts) {
      if (insert.chunk_index != chunk_index) continue;
      own.push_back(&insert);
      left -= count_tokens(insert.text);
    }
    std::vector<std::string> sentences;
    while (left > 0) {
      std::string sentence = next_sentence();
      left -= count_tokens(" " + sentence);
      if (left >= 0 || sentences.empty()) sentences.push_back(std::move(sentence));
    }
    chunks.push_back(Compose(std::move(sentences), own, random));
  }
  return chunks;
}

std::string MakeNumber(Random& random, int num_digits) {
  std::string number(1, static_cast<char>('1' + random.Below(9)));
  while (static_cast<int>(number.size()) < num_digits)
    number.push_back(static_cast<char>('0' + random.Below(10)));
  return number;
}

std::string MakeUuid(Random& random) {
  std::vector<std::string> parts;
  for (const int length : {8, 4, 4, 4, 12}) parts.push_back(HexDigits(random, length));
  return absl::StrJoin(parts, "-");
}

std::vector<std::string> MakeWordKeys(Random& random, int count) {
  return MakeDifferent(
      count, [&] { return absl::StrCat(Any(kFirstWords, random), "-", Any(kSecondWords, random)); });
}

std::vector<std::string> MakeNames(Random& random, int count) {
  return MakeDifferent(count, [&] {
    std::string name = Any(kSyllables, random);
    absl::StrAppend(&name, Any(kSyllables, random), random.Below(2) == 0 ? "" : Any(kSyllables, random));
    return Capitalised(std::move(name));
  });
}

}  // namespace cacheclip
