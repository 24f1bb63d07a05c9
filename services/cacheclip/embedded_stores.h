// The disk tier and the catalogue of a data folder, opened beside a server that may be running: for inspect
// and verify.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/catalog/catalog.h"
#include "common/store/disk_chunk_store.h"

namespace cacheclip {

struct EmbeddedStores {
  std::string data_folder;
  std::unique_ptr<DiskChunkStore> chunks;
  std::unique_ptr<Catalog> catalog;  // read-only
};

// `data_dir` "" = the default. NOT_FOUND if there is no such folder.
absl::StatusOr<EmbeddedStores> OpenEmbeddedStores(const std::string& data_dir);

}  // namespace cacheclip
