// comm/simulate/copies.cpp - which messages carry their bytes in the simulation: those below 64 KiB, which steer the program. Larger ones
// are gradients and weights: they take their time, nobody looks at their values, and memory never touched needs none.
// C++ because SimGrid declares the default copy for C++ only.
#include <smpi/smpi.h>
#include "comm/simulate/simulate.h"

// A message's activity is a communication (SimGrid keeps the class to itself; it derives from the activity alone).
static void copy_small(smx_activity_t message, void *buffer, size_t bytes) {
    if (bytes < 65536) smpi_comm_copy_buffer_callback(reinterpret_cast<simgrid::kernel::activity::CommImpl *>(message), buffer, bytes);
}

void simulate_leave_out_large_copies() { smpi_comm_set_copy_data_callback(copy_small); }
