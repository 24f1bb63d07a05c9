#include "services/cacheclip/preload/job_identity.h"

#include <gtest/gtest.h>

#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

std::string IdentityOf(EngineHarness& server, const IngestOptions& options, const Digest& documents = {}) {
  return JobIdentity(documents, *server.contexts.Get("docs", "").value(), options);
}

TEST(JobIdentity, IsTheSameForWorkersThatMeanTheSame) {
  EngineHarness one, other;
  EXPECT_EQ(IdentityOf(one, one.ingest_options), IdentityOf(other, other.ingest_options));
}

TEST(JobIdentity, ChangesWithModelKvDtypeAndSalt) {
  EngineHarness server;
  const std::string identity = IdentityOf(server, server.ingest_options);
  EngineHarness other_model(TinyModel("other"));
  EXPECT_NE(IdentityOf(other_model, server.ingest_options), identity);
  EngineHarness int8(TinyModel(), RealClock(), KvDtype::kInt8);
  EXPECT_NE(IdentityOf(int8, server.ingest_options), identity);
  EngineHarness salted;
  salted.runtime.default_salt = "another";
  PrefixContexts contexts(salted.runtime);
  EXPECT_NE(JobIdentity({}, *contexts.Get("docs", "").value(), server.ingest_options), identity);
}

TEST(JobIdentity, ChangesWithDocumentsAndHowTheyAreCut) {
  EngineHarness server;
  const std::string identity = IdentityOf(server, server.ingest_options);
  EXPECT_NE(IdentityOf(server, server.ingest_options, Digest{1}), identity);
  IngestOptions options = server.ingest_options;
  ++options.chunker.target_tokens;
  EXPECT_NE(IdentityOf(server, options), identity);
  options = server.ingest_options;
  options.title_in_chunks = false;
  EXPECT_NE(IdentityOf(server, options), identity);
}

}  // namespace
}  // namespace cacheclip
