// How jemalloc behaves in our programs, read by it when a process starts (jemalloc(3), "TUNING"); MALLOC_CONF
// in the environment goes over it. Part of every program, see cmake/CacheclipTargets.cmake and
// docs/adr/0014-programs-allocate-with-jemalloc.md.

extern "C" {
// Few arenas: threads are many, processors few. Pages that were freed stay for the next tensors; those that
// nobody has taken for half a minute the system may have when it needs them. With any other muzzy_decay_ms,
// jemalloc 5.3 gives a large block back the moment it is freed, whatever the other settings say, and a
// prefill then faults in the memory of each of its tensors anew, which takes a sixth of its time.
extern const char* malloc_conf;
const char* malloc_conf =
    "narenas:4,background_thread:true,oversize_threshold:0,dirty_decay_ms:30000,muzzy_decay_ms:-1";
}
