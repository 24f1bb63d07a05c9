import unittest

from rules import dependencies
from source_tree import SourceTree


def problems(cmake, source, folder="common/store"):
    files = {f"{folder}/CMakeLists.txt": cmake, f"{folder}/a.cc": source}
    return [v.text for v in dependencies.check(SourceTree(files))]


class Dependencies(unittest.TestCase):
    def test_declared_equals_included(self):
        self.assertEqual(problems("cacheclip_library(store SRCS a.cc DEPS cacheclip::kv absl::cord Threads::Threads)",
                                  '#include "common/kv/key.h"\n#include "common/store/a.h"\n'
                                  '#include "absl/strings/cord.h"\n'), [])

    def test_included_but_not_declared(self):
        self.assertEqual(problems("cacheclip_library(store SRCS a.cc)", '#include "common/kv/key.h"\n'),
                         ["cacheclip::kv is included but not in DEPS"])
        self.assertEqual(problems("cacheclip_library(store SRCS a.cc)", "#include <xxhash.h>\n"),
                         ["<xxhash.h> is included but PkgConfig::xxhash is not in DEPS"])

    def test_declared_but_not_included(self):
        self.assertEqual(problems("cacheclip_library(store SRCS a.cc DEPS cacheclip::kv CURL::libcurl)", ""),
                         ["cacheclip::kv is in DEPS but nothing of it is included",
                          "CURL::libcurl is in DEPS but nothing of it is included"])

    def test_link_libraries_count_as_declared(self):
        self.assertEqual(problems("cacheclip_library(store SRCS a.cc)\n"
                                  "target_link_libraries(cacheclip_store PUBLIC cacheclip::kv)  # why",
                                  '#include "common/kv/key.h"\n'), [])

    def test_a_comment_declares_nothing(self):
        self.assertEqual(len(problems("cacheclip_library(store SRCS a.cc)  # DEPS cacheclip::kv",
                                      '#include "common/kv/key.h"\n')), 1)

    def test_tests_declare_the_libraries_they_include(self):
        folder = "tests/unit/common/store"
        self.assertEqual(problems("cacheclip_test(store_test SRCS a.cc DEPS cacheclip::store)",
                                  '#include "common/store/a.h"\n', folder), [])
        self.assertEqual(problems("cacheclip_test(store_test SRCS a.cc DEPS cacheclip::store)",
                                  '#include "common/store/a.h"\n#include "common/kv/key.h"\n', folder),
                         ["cacheclip::kv is included but not in DEPS"])

    def test_what_a_test_helper_includes_may_be_declared(self):
        files = {"tests/unit/common/store/CMakeLists.txt": "cacheclip_test(store_test SRCS a.cc DEPS cacheclip::kv)",
                 "tests/unit/common/store/a.cc": '#include "tests/support/contract.h"\n',
                 "tests/support/contract.h": '#include "common/kv/key.h"\n'}
        self.assertEqual(dependencies.check(SourceTree(files)), [])
        files["tests/support/contract.h"] = ""
        self.assertEqual(len(dependencies.check(SourceTree(files))), 1)

    def test_a_service_declares_no_library_of_common_that_it_does_not_include(self):
        for library in ("base", "redis", "catalog_redis", "store_object"):
            self.assertEqual(problems(f"cacheclip_library(runtime SRCS a.cc DEPS cacheclip::{library})",
                                      '#include "services/runtime/a.h"\n', "services/runtime"),
                             [f"cacheclip::{library} is in DEPS but nothing of it is included"])
        self.assertEqual(problems("cacheclip_library(runtime SRCS a.cc DEPS cacheclip::selector_service)",
                                  '#include "services/runtime/a.h"\n', "services/runtime"), [])

    def test_a_subfolder_with_its_own_list_is_a_library_of_its_own(self):
        files = {"common/store/redis/CMakeLists.txt": "cacheclip_library(store_redis SRCS a.cc)",
                 "common/catalog/CMakeLists.txt": "cacheclip_library(catalog SRCS b.cc DEPS cacheclip::store_redis)",
                 "common/catalog/b.cc": '#include "common/store/redis/a.h"\n'}
        self.assertEqual(dependencies.check(SourceTree(files)), [])
        files["common/catalog/CMakeLists.txt"] = "cacheclip_library(catalog SRCS b.cc DEPS cacheclip::store)"
        self.assertEqual(len(dependencies.check(SourceTree(files))), 2)

    def test_a_subfolder_with_its_own_list_is_its_own(self):
        files = {"common/store/CMakeLists.txt": "cacheclip_library(store)",
                 "common/store/redis/CMakeLists.txt": "cacheclip_library(store_redis SRCS a.cc DEPS cacheclip::kv)",
                 "common/store/redis/a.cc": '#include "common/kv/key.h"\n'}
        self.assertEqual(dependencies.check(SourceTree(files)), [])
