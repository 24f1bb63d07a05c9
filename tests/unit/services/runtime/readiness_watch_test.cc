#include "services/runtime/readiness_watch.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/catalog/in_memory_catalog.h"
#include "common/catalog/sqlite_catalog.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;

// What was reported, to wait for.
class Reports {
 public:
  void Add(bool is_ready) {
    std::lock_guard lock(mutex_);
    reports_.push_back(is_ready);
    changed_.notify_all();
  }
  std::vector<bool> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reports_.size() >= count; });
    return reports_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> reports_;
};

TEST(ReadinessWatch, ReportsTheFirstAnswerWithoutWaiting) {
  Reports reports;
  ReadinessWatch watch([] { return absl::UnavailableError("catalogue is down"); },
                       [&](bool is_ready) { reports.Add(is_ready); }, absl::Hours(24));
  EXPECT_THAT(reports.WaitFor(1), ElementsAre(false));
}

TEST(ReadinessWatch, ReportsChangesAndNothingElse) {
  Reports reports;
  std::atomic<int> num_checks = 0;
  const auto check = [&] {
    const int i = num_checks++;
    return i < 3 || i > 5 ? absl::OkStatus() : absl::UnavailableError("catalogue is down");
  };
  ReadinessWatch watch(
      check, [&](bool is_ready) { reports.Add(is_ready); }, absl::Microseconds(1));
  EXPECT_THAT(reports.WaitFor(3), ElementsAre(true, false, true));
}

TEST(ReadinessWatch, EndsWithoutWaitingForItsInterval) {
  Reports reports;
  auto watch = std::make_unique<ReadinessWatch>(
      [] { return absl::OkStatus(); }, [&](bool is_ready) { reports.Add(is_ready); }, absl::Hours(24));
  EXPECT_THAT(reports.WaitFor(1), ElementsAre(true));
  watch.reset();  // hangs if it does
  EXPECT_EQ(watch, nullptr);
}

TEST(ReadinessWatch, ACatalogueWithoutNamespacesIsReady) {
  InMemoryCatalog catalog;
  EXPECT_EQ(CatalogAnswers(&catalog)(), absl::OkStatus());
}

TEST(ReadinessWatch, ACatalogueThatIsNotThereYetIsNotReady) {
  TempFolder folder;
  const auto catalog = SqliteCatalog::OpenReadOnly({.path = folder.path() + "/catalog.sqlite"});
  EXPECT_EQ(CatalogAnswers(catalog.get())().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cacheclip
