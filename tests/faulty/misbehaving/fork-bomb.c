/* Forks without end and never listens: 20 processes, each of which soon puts another in its place, in a session of its own, and
 * ends, so that whoever ends them one by one comes too late. After 2,000 forks, as not every machine's first process is quick to
 * reap, the last 20 stay as they are, for a minute. */
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
