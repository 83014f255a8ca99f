/* Serves many clients at a time with pselect6, with or without a time limit, and sends back each line.
 * The time limit is in the server's memory, and the call's signal mask unblocks SIGUSR1, which does no harm. */
#include "common.h"
#include "sets.h"

static int ask(int count, fd_set *in, fd_set *out, int timeout)
{
    struct timespec time = milliseconds(timeout);
    sigset_t none;
    sigemptyset(&none);
    return pselect(count, in, out, NULL, timeout < 0 ? NULL : &time, &none);
}

static int by_pselect(struct pollfd *polls, nfds_t count, int timeout) { return by_sets(polls, count, ask, timeout); }

#define WAIT by_pselect
#include "loop.h"

int main(int argc, char **argv)
{
    sigset_t blocked = set_of(SIGUSR1);
    on(SIGUSR1, nothing);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    serve_on(listener(argc, argv), TIMEOUT);
}
