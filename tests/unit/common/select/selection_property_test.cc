// What must hold for every selection, over many random contexts (fixed seeds).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "common/select/charged_budget.h"
#include "common/select/fixed_selectors.h"
#include "common/select/selection.h"

namespace cacheclip {
namespace {

constexpr Grouping kGroupings[] = {Grouping::kBudgetExactWindows, Grouping::kPaperWindows, Grouping::kTokens,
                                   Grouping::kSegments, Grouping::kWindowsThenSegments};

struct Case {
  ContextMap map;
  std::vector<float> scores;
  std::vector<int32_t> segment_begins;
  SelectionOptions options;
};

Case RandomCase(uint32_t seed) {
  std::mt19937 random(seed);
  const auto uniform = [&](int low, int high) { return low + static_cast<int>(random() % (high - low + 1)); };
  Case c;
  const int num_chunks = uniform(1, 6);
  for (int i = 0; i < num_chunks; ++i)
    c.map.chunk_lengths.push_back(uniform(0, 3) == 0 ? uniform(0, 9) : uniform(10, 80));
  for (int i = 0; i < c.map.num_tokens(); ++i) {
    // Heavy-tailed like attention, with ties.
    const float mass = static_cast<float>(uniform(0, 20)) / 100.0f;
    c.scores.push_back(uniform(0, 9) == 0 ? 10.0f * mass : mass);
    if (uniform(0, 11) == 0) c.segment_begins.push_back(i);
  }
  c.options.budget = uniform(0, 99) / 100.0;
  c.options.first_chunk_selectable = uniform(0, 3) == 0;
  c.options.seam_tokens = uniform(0, 2) == 0 ? uniform(1, 10) : 0;
  c.options.window = uniform(5, 12);
  c.options.grouping = kGroupings[uniform(0, 3)];
  return c;
}

double Mass(const std::vector<float>& scores, const std::vector<int32_t>& indices) {
  double mass = 0.0;
  for (const int32_t i : indices) mass += scores[i];
  return mass;
}

int32_t NumSelectable(const Case& c) {
  return c.map.num_tokens() - (c.options.first_chunk_selectable ? 0 : c.map.chunk_lengths[0]);
}

TEST(SelectionProperty, BudgetIsMetExactlyAndNeverExceeded) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const Case c = RandomCase(seed);
    const RecomputeSet set = Select(c.map, c.scores, c.options, c.segment_begins).value();
    const int32_t allowed = std::min(NumSelectable(c), BudgetTokens(c.options.budget, c.map.num_tokens()));
    if (c.options.grouping == Grouping::kPaperWindows)
      ASSERT_LE(set.indices.size(), allowed) << seed;
    else
      ASSERT_EQ(set.indices.size(), allowed) << seed;
    const std::vector<int64_t> fresh(30, static_cast<int64_t>(set.indices.size()));
    ASSERT_LE(ChargePerLayer(fresh, c.map.num_tokens()).ratio(), c.options.budget) << seed;
  }
}

TEST(SelectionProperty, IndicesAreSortedUniqueAndInRange) {
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    const Case c = RandomCase(seed);
    const std::vector<int32_t> indices = Select(c.map, c.scores, c.options, c.segment_begins).value().indices;
    ASSERT_TRUE(std::is_sorted(indices.begin(), indices.end())) << seed;
    ASSERT_EQ(std::adjacent_find(indices.begin(), indices.end()), indices.end()) << seed;
    if (indices.empty()) continue;
    ASSERT_GE(indices.front(), c.options.first_chunk_selectable ? 0 : c.map.chunk_lengths[0]) << seed;
    ASSERT_LT(indices.back(), c.map.num_tokens()) << seed;
  }
}

// Without seams every chosen run is made of whole windows, but for the one that was cut: in each chunk, a run
// shorter than a window can occur only once in the whole set.
TEST(SelectionProperty, RunsAreWholeWindowsInsideTheirChunk) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    Case c = RandomCase(seed);
    c.options.grouping = Grouping::kBudgetExactWindows;
    c.options.seam_tokens = 0;
    const std::vector<int32_t> indices = Select(c.map, c.scores, c.options).value().indices;
    int num_short_runs = 0;
    for (const IndexRange& chunk : c.map.Chunks()) {
      int32_t run = 0;
      for (int32_t i = chunk.begin; i <= chunk.end; ++i) {
        if (i < chunk.end && std::binary_search(indices.begin(), indices.end(), i)) {
          ++run;
          continue;
        }
        if (run > 0 && run < std::min(c.options.window, chunk.size())) ++num_short_runs;
        run = 0;
      }
    }
    ASSERT_LE(num_short_runs, 1) << seed;
  }
}

TEST(SelectionProperty, MoreBudgetNeverLosesScoreMass) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Case c = RandomCase(seed);
    for (const Grouping grouping : {Grouping::kBudgetExactWindows, Grouping::kTokens, Grouping::kSegments}) {
      c.options.grouping = grouping;
      c.options.seam_tokens = 0;
      double before = 0.0;
      for (int percent = 0; percent <= 100; percent += 4) {
        c.options.budget = percent / 100.0;
        const double mass =
            Mass(c.scores, Select(c.map, c.scores, c.options, c.segment_begins).value().indices);
        ASSERT_GE(mass, before - 1e-9) << seed << " at " << percent << " %";
        before = mass;
      }
    }
  }
}

TEST(SelectionProperty, FullBudgetSelectsEverythingWhateverTheOptions) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Case c = RandomCase(seed);
    c.options.budget = 1.0;
    ASSERT_EQ(Select(c.map, c.scores, c.options, c.segment_begins).value().indices, SelectAll(c.map).indices)
        << seed;
  }
}

TEST(SelectionProperty, SameInputSameSet) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Case c = RandomCase(seed);
    ASSERT_EQ(Select(c.map, c.scores, c.options, c.segment_begins).value().indices,
              Select(c.map, c.scores, c.options, c.segment_begins).value().indices);
  }
}

// The slow obvious version: look at every window again after each choice.
std::vector<int32_t> ObviousGreedy(const Case& c) {
  std::vector<bool> chosen(c.scores.size(), false);
  std::vector<IndexRange> windows;
  const std::vector<IndexRange> chunks = c.map.Chunks();
  for (size_t k = c.options.first_chunk_selectable ? 0 : 1; k < chunks.size(); ++k) {
    const int32_t width = std::min(c.options.window, chunks[k].size());
    for (int32_t b = chunks[k].begin; width > 0 && b + width <= chunks[k].end; ++b)
      windows.push_back({b, b + width});
  }
  int32_t left = std::min(NumSelectable(c), BudgetTokens(c.options.budget, c.map.num_tokens()));
  while (left > 0) {
    double best_value = -1.0;
    std::vector<int32_t> best;
    for (const IndexRange& window : windows) {
      std::vector<int32_t> fresh;
      for (int32_t i = window.begin; i < window.end; ++i)
        if (!chosen[i]) fresh.push_back(i);
      if (!fresh.empty() && Mass(c.scores, fresh) > best_value) {
        best_value = Mass(c.scores, fresh);
        best = fresh;
      }
    }
    if (static_cast<int32_t>(best.size()) > left) break;  // the cut has tests of its own
    for (const int32_t i : best) chosen[i] = true;
    left -= best.size();
  }
  std::vector<int32_t> indices;
  for (size_t i = 0; i < chosen.size(); ++i)
    if (chosen[i]) indices.push_back(i);
  return indices;
}

TEST(SelectionProperty, AgreesWithTheObviousGreedy) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    Case c = RandomCase(seed);
    c.options.grouping = Grouping::kBudgetExactWindows;
    c.options.seam_tokens = 0;
    const std::vector<int32_t> expected = ObviousGreedy(c);
    const std::vector<int32_t> indices = Select(c.map, c.scores, c.options).value().indices;
    ASSERT_TRUE(std::includes(indices.begin(), indices.end(), expected.begin(), expected.end())) << seed;
    ASSERT_LT(indices.size() - expected.size(), c.options.window) << seed;
  }
}

}  // namespace
}  // namespace cacheclip
