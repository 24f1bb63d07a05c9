import unittest

from rules import cmake_sources
from source_tree import SourceTree


def problems(files):
    return [str(v) for v in cmake_sources.check(SourceTree(files))]


class CmakeSources(unittest.TestCase):
    def test_listed_sources_pass(self):
        self.assertEqual(problems({"common/kv/CMakeLists.txt": "cacheclip_library(kv SRCS key.cc sub/b.cc)",
                                   "common/kv/key.cc": "", "common/kv/sub/b.cc": ""}), [])

    def test_sources_may_be_named_from_the_root(self):
        cmake = "cacheclip_test(a_test SRCS ${CMAKE_SOURCE_DIR}/tests/support/b.cc)"
        self.assertEqual(problems({"tests/unit/a/CMakeLists.txt": cmake, "tests/support/b.cc": ""}), [])

    def test_an_unlisted_source_is_found(self):
        self.assertEqual(problems({"common/kv/CMakeLists.txt": "# key.cc", "common/kv/key.cc": ""}),
                         ["common/kv/key.cc:0: not named in any CMakeLists.txt: it is never compiled"])

    def test_a_missing_source_is_found(self):
        self.assertEqual(problems({"common/kv/CMakeLists.txt": "cacheclip_library(kv SRCS key.cc)"}),
                         ["common/kv/CMakeLists.txt:0: key.cc is named but does not exist"])

    def test_generated_sources_are_not_ours(self):
        self.assertEqual(problems({"proto/CMakeLists.txt":
                                  "foreach(e pb.cc grpc.pb.cc)\nadd_library(p ${CMAKE_BINARY_DIR}/a.pb.cc)"}), [])
