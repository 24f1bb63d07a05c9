"""What the demo promises: enough articles, and every answer of examples/questions.jsonl literally in its article."""
import json

from source_tree import Violation

CORPUS = "examples/corpus/"
QUESTIONS = "examples/questions.jsonl"
MIN_ARTICLES, MIN_WORDS = 24, 9000
FIELDS = {"question", "answer", "document"}


def check(tree):
    articles = dict(tree.select(".md", under=CORPUS))
    num_words = sum(len(text.split()) for text in articles.values())
    violations = []
    if len(articles) < MIN_ARTICLES or num_words < MIN_WORDS:
        violations.append(Violation(CORPUS, 0, f"{len(articles)} articles with {num_words} words, at least "
                                    f"{MIN_ARTICLES} with {MIN_WORDS}"))
    for number, line in enumerate(tree.files.get(QUESTIONS, "").splitlines(), 1):
        entry = json.loads(line)
        if set(entry) != FIELDS:
            violations.append(Violation(QUESTIONS, number, f"fields {sorted(entry)}, expected {sorted(FIELDS)}"))
        elif entry["answer"] not in tree.files.get("examples/" + entry["document"], ""):
            violations.append(Violation(QUESTIONS, number, f"{entry['answer']!r} is not in {entry['document']}"))
    return violations
