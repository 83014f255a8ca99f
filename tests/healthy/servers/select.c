/* Serves many clients at a time with select, with or without a time limit, and sends back each line.
 * It makes the system call select itself, where the machine has it, because the C library may call pselect6; the kernel writes back the
 * time left. */
#include "common.h"
#include "sets.h"
#include <sys/syscall.h>

static int ask(int count, fd_set *in, fd_set *out, int timeout)
{
    struct timeval time = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000}, *limit = timeout < 0 ? NULL : &time;
#ifdef SYS_select
    return syscall(SYS_select, count, in, out, NULL, limit);
#else
    return select(count, in, out, NULL, limit);
#endif
}

static int by_select(struct pollfd *polls, nfds_t count, int timeout) { return by_sets(polls, count, ask, timeout); }

#define WAIT by_select
#include "loop.h"

int main(int argc, char **argv) { serve_on(listener(argc, argv), TIMEOUT); }
