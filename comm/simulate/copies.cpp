// comm/simulate/copies.cpp - what of a message is carried in the simulation: all of it below 64 KiB, since such messages steer the program;
// of larger ones the head, where packed rows are named. The rest is gradients and weights: it takes its time, nobody looks at its values, and
// memory never touched needs none. C++ because SimGrid declares the default copy for C++ only.
#include <smpi/smpi.h>
#include "comm/simulate/simulate.h"

// A message's activity is a communication (SimGrid keeps the class to itself; it derives from the activity alone).
static void copy_head(smx_activity_t message, void *buffer, size_t bytes) {
    static const size_t small = 65536, head = 8192;            // rows of 4 MiB at a width of 768: 1,365 words
    smpi_comm_copy_buffer_callback(reinterpret_cast<simgrid::kernel::activity::CommImpl *>(message), buffer, bytes < small ? bytes : head);
}

void simulate_leave_out_large_copies() { smpi_comm_set_copy_data_callback(copy_head); }
