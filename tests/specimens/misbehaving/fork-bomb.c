/* Forks without end and never listens: a hundred processes, each of which soon puts another in its place, in a session of its
 * own, and ends, so that whoever ends them one by one comes too late. A minute after the start none is left. */
#include "server.h"
#include <time.h>

enum { AT_A_TIME = 100, EACH = 50 /* ms */, ALL = 60 /* s */ };

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

int main(void)
{
    time_t end = now() + ALL;
    signal(SIGCHLD, SIG_IGN);
    for (int number = 0; number < AT_A_TIME; number++)
        if (fork() == 0)
            for (;;) {
                poll(NULL, 0, EACH);
                if (now() >= end || fork() > 0)
                    _exit(0);
                setsid();
            }
    while (now() < end)
        poll(NULL, 0, EACH);
    return 0;
}
