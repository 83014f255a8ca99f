/* One thread accepts and forks for each client. The first thread blocks in sigsuspend until SIGALRM, which alarm sends every second, and
 * then reaps.
 * Until then child processes that have ended are zombies, although no call of the server has a time limit. */
#include "common.h"

static int door;

static void *welcome(void *argument)
{
    for (;;)
        serve_in_a_child(door, next_client(door));
    return argument;
}

int main(int argc, char **argv)
{
    sigset_t set = set_of(SIGALRM), none;
    sigemptyset(&none);
    on(SIGALRM, nothing);
    /* Threads inherit the mask: the signal is for the first. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    door = listener(argc, argv);
    start_or_die(welcome, NULL);
    for (;;) {
        alarm(1);
        sigsuspend(&none);
        reap_all();
    }
}
