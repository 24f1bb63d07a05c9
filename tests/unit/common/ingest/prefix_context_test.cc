#include "common/ingest/prefix_context.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

PrefixSpec Spec(const std::string& instruction) {
  PrefixSpec spec{.system_prompt = "Answer from the texts.", .instruction = instruction};
  spec.template_time = absl::FromUnixSeconds(1'700'000'000);
  return spec;
}

TEST(PrefixContexts, RegisteringTheSameContentAgainIsANoOp) {
  EngineHarness server;
  const auto again = server.contexts.Register("docs", Spec("Texts:\n"), /*make_default=*/false);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->prefix_id, server.prefix.prefix_id);
  EXPECT_TRUE(again->is_default);
  EXPECT_EQ(server.catalog.ListPrefixes("docs")->size(), 1u);
  EXPECT_EQ(server.store.stats().puts, 1);
}

TEST(PrefixContexts, AnUnsetTimeMeansTheOneRegisteredBefore) {
  EngineHarness server;
  PrefixSpec spec = Spec("Texts:\n");
  spec.template_time = absl::Time();
  const auto again = server.contexts.Register("docs", spec, /*make_default=*/false);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->template_time, server.prefix.template_time);
}

TEST(PrefixContexts, OtherContentIsAnotherPrefixAndMayBecomeTheDefault) {
  EngineHarness server;
  const auto other = server.contexts.Register("docs", Spec("Read:\n"), /*make_default=*/true);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(other->prefix_id, server.prefix.prefix_id);
  EXPECT_EQ(server.contexts.Get("docs", "").value()->record().prefix_id, other->prefix_id);
  EXPECT_EQ(server.contexts.Get("docs", server.prefix.prefix_id).value()->record().prefix_id,
            server.prefix.prefix_id);
}

TEST(PrefixContexts, UnknownNamespaceAndPrefixAreNotFound) {
  EngineHarness server;
  EXPECT_TRUE(absl::IsNotFound(server.contexts.Get("elsewhere", "").status()));
  EXPECT_TRUE(absl::IsNotFound(server.contexts.Get("docs", "0123456789abcdef").status()));
}

TEST(PrefixContexts, APrefixOfAnotherModelIsRefusedNamingBoth) {
  EngineHarness server;
  Runtime other_runtime = server.runtime;
  other_runtime.model = TinyModel("another").model;
  PrefixContexts others(other_runtime);
  const auto context = others.Get("docs", "");
  EXPECT_TRUE(absl::IsFailedPrecondition(context.status())) << context.status();
  EXPECT_EQ(FieldOf(context.status()), "prefix_id");
  const std::string message(context.status().message());
  EXPECT_NE(message.find(ToHex(TinyModel().model->fingerprint())), std::string::npos) << message;
  EXPECT_NE(message.find(ToHex(other_runtime.model->fingerprint())), std::string::npos) << message;
}

TEST(PrefixContexts, APrefixInUseWorksWhileTheCatalogueIsDown) {
  EngineHarness server;
  ASSERT_TRUE(server.contexts.Get("docs", "").ok());
  server.catalog.is_down = true;
  const auto context = server.contexts.Get("docs", "");
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->record().prefix_id, server.prefix.prefix_id);
  EXPECT_TRUE(absl::IsUnavailable(server.contexts.Get("other", "").status()));
}

TEST(PrefixContexts, KeepsABoundedNumberOfContexts) {
  EngineHarness server;
  for (size_t i = 0; i < PrefixContexts::kMaxPrefixContexts + 2; ++i)
    ASSERT_TRUE(server.contexts.GetForSpec("docs", Spec(std::to_string(i))).ok());
  EXPECT_TRUE(server.contexts.Get("docs", server.prefix.prefix_id).ok());  // comes back from the catalogue
}

TEST(PrefixContext, ThePrefixComesFromTheStoreAndIsKept) {
  EngineHarness server;
  PrefixContexts restarted(server.runtime);  // as after a restart: nothing in memory but the store
  const auto context = restarted.Get("docs", "").value();
  const auto hit = context->PrefixChunk(TaskPriority::kInteractive);
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->tier, Tier::kMemory);
  EXPECT_EQ(hit->chunk->num_tokens(), server.prefix.num_tokens());
  EXPECT_EQ(server.store.stats().puts, 1);
}

TEST(PrefixContext, AStoreThatFailsCostsAnEncodeAndNoError) {
  EngineHarness server;
  server.store.on_get = [](const ChunkKey&) { return absl::UnavailableError("store is down"); };
  server.store.on_put = [] { return absl::ResourceExhaustedError("disk full"); };
  PrefixContexts restarted(server.runtime);
  const auto hit = restarted.Get("docs", "").value()->PrefixChunk(TaskPriority::kInteractive);
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->tier, Tier::kComputed);
}

TEST(PrefixContext, AnInteractiveCallerDoesNotWaitForTheStoreToTakeIt) {
  EngineHarness server;
  PrefixContexts restarted(server.runtime);
  const auto context = restarted.Get("docs", "").value();
  ASSERT_TRUE(server.store.Delete(context->PrefixKey()).ok());
  int num_puts = 0;
  server.store.on_put = [&] {
    ++num_puts;
    return absl::OkStatus();
  };
  ASSERT_TRUE(context->PrefixChunk(TaskPriority::kInteractive).ok());
  EXPECT_EQ(num_puts, 0);
  EXPECT_NE(context->kept_prefix(), nullptr);
  PrefixContexts other(server.runtime);
  ASSERT_TRUE(other.Get("docs", "").value()->PrefixChunk(TaskPriority::kBackground).ok());
  EXPECT_EQ(num_puts, 1);
}

TEST(PrefixContext, NamespacesWithDifferentSaltsShareNoKeys) {
  EngineHarness server;
  server.runtime.namespace_salts["private"] = "another salt";
  ASSERT_TRUE(server.contexts.Register("private", Spec("Texts:\n"), true).ok());
  const auto here = server.contexts.Get("docs", "").value(),
             there = server.contexts.Get("private", "").value();
  const std::vector<int32_t> ids{5, 6, 7};
  EXPECT_NE(here->KeyOf(ids), there->KeyOf(ids));
}

}  // namespace
}  // namespace cacheclip
