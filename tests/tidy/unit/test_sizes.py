import unittest

from cpp_text import functions
from rules import sizes
from source_tree import SourceTree


def problems(path, text):
    return [(v.text, v.is_warning) for v in sizes.check(SourceTree({path: text}))]


def function_of(num_lines):
    return "int F(int a) {\n" + "  a += 1;\n" * (num_lines - 2) + "}\n"


class Sizes(unittest.TestCase):
    def test_file_limits(self):
        for path, limit in [("common/kv/a.h", 150), ("tests/unit/common/kv/a_test.cc", 400),
                            ("services/selector/main.cc", 40), ("common/kv/a.cc", 500)]:
            self.assertFalse([text for text, warning in problems(path, "\n" * limit) if not warning], path)
            self.assertEqual(len([text for text, warning in problems(path, "\n" * (limit + 1)) if not warning]),
                            1, path)

    def test_soft_limit_of_a_source_only_warns(self):
        self.assertEqual(problems("common/kv/a.cc", "\n" * 300), [])
        self.assertEqual(problems("common/kv/a.cc", "\n" * 301), [("301 lines, better at most 300", True)])

    def test_function_limits(self):
        self.assertEqual(problems("common/kv/a.cc", function_of(40)), [])
        self.assertEqual(problems("common/kv/a.cc", function_of(41)), [("F has 41 lines, better at most 40", True)])
        self.assertEqual(problems("common/kv/a.cc", function_of(71)), [("F has 71 lines, at most 70", False)])

    def test_line_length(self):
        self.assertEqual(problems("common/kv/a.cc", "//" + "x" * 118), [])
        self.assertEqual(problems("common/kv/a.cc", "//" + "x" * 119),
                         [("line of 121 characters, at most 120", False)])


class Functions(unittest.TestCase):
    def lengths(self, text):
        return [(f.name, f.num_lines) for f in functions(text)]

    def test_methods_inside_namespaces_and_classes(self):
        self.assertEqual(self.lengths(
                        "namespace a {\nclass B : public C {\n public:\n  int Get() const {\n    return 1;\n"
                                      "  }\n  int x_ = 0;\n};\n}  // namespace a\nvoid A::Set(int x) { x_ = x; }\n"),
                         [("Get", 3), ("A::Set", 1)])

    def test_constructor_with_initialisers_and_lambda(self):
        self.assertEqual(self.lengths(
                        "A::A(int x)\n    : x_{x}, y_(x) {\n  Do([&] {\n    return 1;\n  });\n}\n"
                        "int B() { return 2; }\n")[-1],
                         ("B", 1))

    def test_braces_in_literals_and_comments_do_not_count(self):
        self.assertEqual(self.lengths(
                        'int F() {\n  // }\n  return Use("}", \'}\', R"(})", 1\'000);\n}\nint G() {\n}\n'),
                         [("F", 4), ("G", 2)])

    def test_initialised_constants_are_no_functions(self):
        self.assertEqual(self.lengths("constexpr int kA[] = {1, 2};\nstruct B {\n  int a = 1;\n};\nint F() {\n}\n"),
                         [("F", 2)])

    def test_test_macros_carry_their_names(self):
        self.assertEqual(self.lengths("TEST(Window, KeepsToken) {\n  EXPECT_TRUE(true);\n}\n"),
                         [("TEST(Window, KeepsToken)", 3)])
