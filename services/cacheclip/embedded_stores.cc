#include "services/cacheclip/embedded_stores.h"

#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/sqlite_catalog.h"
#include "services/runtime/paths.h"

namespace cacheclip {

absl::StatusOr<EmbeddedStores> OpenEmbeddedStores(const std::string& data_dir) {
  Config config;
  config.data_dir = data_dir;
  EmbeddedStores stores;
  stores.data_folder = DataFolder(config);
  if (!std::filesystem::is_directory(ChunksFolder(stores.data_folder)))
    return FieldError(absl::StatusCode::kNotFound, "data_dir",
                      absl::StrCat(stores.data_folder, " holds no chunk store"));
  // Looking must not evict, whatever budget the server has.
  DiskChunkStoreOptions options{.folder = ChunksFolder(stores.data_folder),
                                .max_bytes = std::numeric_limits<int64_t>::max() / 2,
                                .max_objects = std::numeric_limits<int64_t>::max() / 2};
  CACHECLIP_ASSIGN_OR_RETURN(stores.chunks, DiskChunkStore::Open(std::move(options)));
  stores.catalog = SqliteCatalog::OpenReadOnly({.path = CatalogFile(stores.data_folder)});
  return stores;
}

}  // namespace cacheclip
