/* Serves its clients every 5 ms, when setitimer sends it SIGALRM, and waits for that in pause or in sigsuspend (WAIT_FOR_SIGNAL).
 * While it is blocked it waits for no client and for no descriptor: only the timer, which is no call, wakes it. */
#include "common.h"
#include "loop.h"

enum { EVERY = 5 * 1000 /* us */ };

static sigset_t none;

static inline void by_pause(void) { pause(); }

static inline void by_sigsuspend(void) { sigsuspend(&none); }

int main(int argc, char **argv)
{
    static struct clients all;
    struct itimerval every = {{.tv_usec = EVERY}, {.tv_usec = EVERY}};
    all.listener = listener(argc, argv);
    sigemptyset(&none);
    on(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &every, NULL);
    for (;;) {
        WAIT_FOR_SIGNAL();
        serve_all_there_is(&all);
    }
}
