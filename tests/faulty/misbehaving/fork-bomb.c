/* Forks without end and never listens. There are 20 processes; each soon forks a successor, in a session of its own, and ends, so that a
 * tool that kills them one by one is too late. After 2,000 forks the last 20 processes stay for the rest of a minute, because not every
 * machine's init process reaps quickly. */
#include "server.h"
#include <time.h>

enum { AT_A_TIME = 20, EACH = 100 /* ms */, FORKS = 100, ALL = 60 /* s */ };

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
        if (fork() == 0) {
            for (int forks = 0; forks < FORKS; forks++) {
                poll(NULL, 0, EACH);
                if (fork() > 0)
                    _exit(0);
                setsid();
            }
            break;
        }
    while (now() < end)
        poll(NULL, 0, EACH);
    return 0;
}
