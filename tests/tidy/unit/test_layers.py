import unittest

from rules import layers
from source_tree import SourceTree


def problems(path, include):
    return [v.text for v in layers.check(SourceTree({path: f"// x\n#include {include}\n"}))]


class Layers(unittest.TestCase):
    def test_arrows_down_are_allowed(self):
        for path, include in [("common/kv/key.h", '"common/base/hash.h"'), ("common/kv/key.cc", '"common/kv/key.h"'),
                              ("common/engine/a.cc", '"common/model/model.h"'),
                              ("common/engine/a.cc", '"common/ingest/job.h"'),
                              ("common/store/redis/a.cc", '"common/redis/redis_client.h"'),
                              ("common/catalog/redis/a.cc", '"common/redis/redis_client.h"'),
                              ("services/generation/main.cc", '"services/runtime/config.h"'),
                              ("services/generation/main.cc", '"common/rpc/server.h"'),
                              ("services/cacheclip/serve.cc", '"services/generation/generation_service.h"')]:
            self.assertEqual(problems(path, include), [], path)

    def test_arrows_up_and_sideways_are_refused(self):
        for path, include in [("common/base/hash.h", '"common/kv/key.h"'), ("common/select/a.cc", '"common/kv/key.h"'),
                              ("common/model/a.cc", '"common/store/store.h"'),
                              ("common/ingest/a.cc", '"common/engine/engine.h"'),
                              ("common/engine/a.cc", '"common/rpc/server.h"'),
                              ("common/rpc/a.cc", '"services/selector/selector.h"'),
                              ("services/runtime/a.cc", '"services/generation/generation.h"'),
                              ("services/generation/a.cc", '"services/selector/selector.h"'),
                              ("common/kv/a.cc", '"tests/support/poll.h"'),
                              ("common/redis/a.cc", '"common/kv/key.h"'),
                              ("common/engine/a.cc", '"common/redis/redis_client.h"'),
                              ("common/new/a.cc", '"common/base/hash.h"')]:
            self.assertEqual(len(problems(path, include)), 1, (path, include))

    def test_tests_may_include_any_layer(self):
        self.assertEqual(problems("tests/unit/common/kv/key_test.cc", '"common/rpc/server.h"'), [])

    def test_third_party_stays_in_its_folder(self):
        for good, bad, include in [
                ("common/model/weights.h", "common/engine/weights.h", "<ATen/core/Tensor.h>"),
                ("common/model/weights.h", "services/selector/a.cc", "<torch/torch.h>"),
                ("common/redis/reply_reader.cc", "common/redis/connection.cc", "<hiredis/read.h>"),
                ("common/catalog/sqlite_catalog.cc", "common/catalog/sqlite_catalog.h", "<sqlite3.h>"),
                ("services/cacheclip/local_index/index.cc", "services/cacheclip/ask.cc", "<sqlite3.h>"),
                ("common/rpc/server.h", "common/engine/engine.h", "<grpcpp/grpcpp.h>"),
                ("services/selector/selector_service.cc", "services/selector/selector.cc",
                 '"cacheclip/v1/selector.pb.h"')]:
            self.assertEqual(problems(good, include), [], good)
            self.assertEqual(len(problems(bad, include)), 1, bad)

    def test_only_one_file_includes_curl(self):
        files = {"common/store/object.cc": "#include <curl/curl.h>\n"}
        self.assertEqual(layers.check(SourceTree(files)), [])
        files["common/store/other.cc"] = "#include <curl/curl.h>\n"
        self.assertEqual([v.path for v in layers.check(SourceTree(files))], ["common/store/other.cc"])

    def test_includes_name_the_full_path(self):
        self.assertEqual(problems("common/kv/key.cc", '"key.h"'), ['include by full path: "key.h"'])
