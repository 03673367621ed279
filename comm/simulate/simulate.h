/* comm/simulate/simulate.h - included before every file of the simulation: clocks and sleeps are the simulator's, processors enough.
 *
 * Where the code waits, by MPI_Iprobe, sched_yield or nanosleep, simulated time passes, SIMULATE_WAIT seconds a try: what arrives meanwhile
 * is seen that much too late at most. */
#ifndef COMM_SIMULATE_H
#define COMM_SIMULATE_H
#ifdef __cplusplus
extern "C" {
#else
#define SMPI_NO_OVERRIDE_MALLOC
#include <sched.h>
#include <smpi/smpi.h>
#include <smpi/smpi_helpers.h>
#define sysconf(what) 1024L                    /* processors: of the simulated node, not of the machine that simulates it */
#define sched_yield() simulate_wait()
#define MPI_Iprobe(source, tag, comm, flag, status) (*(flag) = 0, simulate_wait())
#endif
#define SIMULATE_WAIT 50e-6
extern double simulate_bytes_per_second;       /* of memory, for one rank; 0: takes no time */
void simulate_pass(double seconds);
int simulate_wait(void);                       /* lets SIMULATE_WAIT pass; 0 */
void simulate_leave_out_large_copies(void);
#ifdef __cplusplus
}
#endif
#endif
