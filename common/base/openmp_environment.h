// OpenMP threads that spin at a barrier take the core from the thread they wait for as soon as anything else
// runs on the machine (up to 50 times slower). libgomp reads its settings while it is loaded, before main, so
// a program that finds none restarts itself once with OMP_WAIT_POLICY=passive and a GOMP_SPINCOUNT of some
// microseconds, so that decode's short regions need no waking; settings the user made are left alone.
//
//   int main(int argc, char** argv) { cacheclip::EnsurePassiveOpenMp(argv); … }
//
// Call first in main, before threads exist.
#pragma once

namespace cacheclip {

void EnsurePassiveOpenMp(char** argv);

}  // namespace cacheclip
