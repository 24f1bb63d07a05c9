import unittest

from rules import words
from source_tree import SourceTree


def problems(text, path="docs/a.md"):
    return words.check(SourceTree({path: text}))


class Words(unittest.TestCase):
    def test_unfinished_work_is_found_with_its_line(self):
        for word in ("TODO", "FIXME", "XXX", "HACK"):
            found = problems(f"fine\n// {word}(me): later\n", "common/kv/a.cc")
            self.assertEqual([v.line for v in found], [2], word)
        self.assertEqual(problems("XXH3 hacks todoist MAXXXL"), [])

    def test_machine_paths_are_found(self):
        for path in ("/work/main/a.cc", "/root/.cache/x", "/home/ann/src"):
            self.assertEqual(len(problems(f"see `{path}`")), 1, path)
        for path in ("$HOME/.cache", "tests/work/a", "/home/<you>",
                     "https://example.org/root/x", "~/work/x", "/workspace"):
            self.assertEqual(problems(f"see {path}"), [], path)

    def test_registry_addresses_are_found(self):
        for host in ("pypi.org", "files.pythonhosted.org", "crates.io", "registry.npmjs.org", "proxy.golang.org",
                     "deb.debian.org"):
            self.assertEqual(len(problems(f"https://{host}/simple")), 1, host)
        self.assertEqual(problems("the wheel on PyPI, Debian packages"), [])
