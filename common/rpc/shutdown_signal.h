// SIGTERM and SIGINT as a call that returns. BlockShutdownSignals() first thing in main, before any thread
// exists (threads inherit the mask); then WaitForShutdownSignal() on one thread. A second signal, while
// draining, ends the process at once. SIGPIPE and SIGXFSZ are ignored: a closed connection and a file size
// limit are errors of the call that met them. Process-wide; call each once.
#pragma once

namespace cacheclip {

void BlockShutdownSignals();

// Returns the signal's number.
int WaitForShutdownSignal();

}  // namespace cacheclip
