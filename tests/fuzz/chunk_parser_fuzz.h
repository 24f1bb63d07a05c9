// The fuzz target of the chunk parser: libFuzzer drives it when the project is configured with CACHECLIP_FUZZ
// (clang), chunk_parser_test.cc drives it with mutations of the golden files in every run. Aborts when the
// parser accepts an image that it would not write itself; sanitizers find the rest. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes);
