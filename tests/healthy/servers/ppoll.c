/* Serves many clients at a time with ppoll, with or without a time limit, and sends back each line.
 * The time limit is in the server's memory, and the call's signal mask unblocks SIGUSR1, which does no harm. */
#include "common.h"

static int by_ppoll(struct pollfd *polls, nfds_t count, int timeout)
{
    struct timespec time = milliseconds(timeout);
    sigset_t none;
    sigemptyset(&none);
    return ppoll(polls, count, timeout < 0 ? NULL : &time, &none);
}

#define WAIT by_ppoll
#include "loop.h"

int main(int argc, char **argv)
{
    sigset_t blocked = set_of(SIGUSR1);
    on(SIGUSR1, nothing);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    serve_on(listener(argc, argv), TIMEOUT);
}
