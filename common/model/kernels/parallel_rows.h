// Rows of the element-wise kernels over OpenMP's threads. Included by kernel files of different instruction
// sets, so that everything is internal to each.
#pragma once

#include <cstdint>

namespace cacheclip {
namespace {

// run(row) for every row, on the calling thread alone if there are fewer than `min_elements` elements: a
// second one would cost more than it helps. Then no region is opened at all: for a region of one thread
// libgomp makes a new team, and another one for the next region of all threads.
template <typename Run>
inline void ForEachRow(int64_t rows, int64_t elements, int64_t min_elements, int num_threads,
                       const Run& run) {
  if (elements < min_elements) {
    for (int64_t row = 0; row < rows; ++row) run(row);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(num_threads)
  for (int64_t row = 0; row < rows; ++row) run(row);
}

}  // namespace
}  // namespace cacheclip
