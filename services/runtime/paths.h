// Where things lie when nobody says: models, data, cache; the same rules as tools/models. Reads the
// environment; thread-safe while nobody changes it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/runtime/config.h"

namespace cacheclip {

std::string CacheFolder();   // $CACHECLIP_CACHE, else $XDG_CACHE_HOME/cacheclip, else ~/.cache/cacheclip
std::string ModelsFolder();  // $CACHECLIP_MODELS, else models/ in the cache folder

std::string ModelFolder(const Config& config);  // config.model, else the demo model
std::string DataFolder(
    const Config& config);  // config.data_dir, else $XDG_DATA_HOME/cacheclip, else ~/.local/share/…

std::string CatalogFile(const std::string& data_folder);
std::string ChunksFolder(const std::string& data_folder);
std::string WriteBackFolder(const std::string& data_folder);
std::string LocalIndexFile(const std::string& data_folder);

// Creates the folder for the owner alone. The error names data_dir.
absl::Status MakeDataFolder(const std::string& data_folder);

}  // namespace cacheclip
