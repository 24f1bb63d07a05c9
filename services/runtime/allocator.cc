// How jemalloc behaves in our programs, read by it when a process starts (jemalloc(3), "TUNING"); MALLOC_CONF
// in the environment goes over it. Part of every program, see cmake/CacheclipTargets.cmake and
// docs/adr/0014-programs-allocate-with-jemalloc.md.

extern "C" {
// Few arenas: threads are many, processors few. Pages that were freed stay for the next request's tensors and
// go back to the system when nobody has taken them for half a minute, large ones too.
extern const char* malloc_conf;
const char* malloc_conf =
    "narenas:4,background_thread:true,oversize_threshold:0,dirty_decay_ms:30000,muzzy_decay_ms:0";
}
