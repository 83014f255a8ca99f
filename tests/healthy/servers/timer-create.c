/* Serves its clients every 5 ms, when a POSIX timer sends it a real-time signal, and waits for that in sigwaitinfo.
 * While it is blocked it waits for no client, and its call has no time limit: only the timer wakes it. */
#include "common.h"
#include "loop.h"

enum { EVERY = 5 * 1000 * 1000 /* ns */ };

int main(int argc, char **argv)
{
    static struct clients all;
    sigset_t set = set_of(SIGRTMIN);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec every = {{.tv_nsec = EVERY}, {.tv_nsec = EVERY}};
    timer_t timer;
    all.listener = listener(argc, argv);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
        err(1, "timer_create");
    for (;;) {
        sigwaitinfo(&set, NULL);
        serve_all_there_is(&all);
    }
}
