/* Forks for each client. A thread of its own reaps every second, and sleeps in between in the call that SLEEP names.
 * Until then child processes that have ended are zombies: their number grows for a while with each client, but all are reaped. */
#include "common.h"

enum { BETWEEN = 1 /* s */ };

static inline void by_nanosleep(void)
{
    struct timespec time = {.tv_sec = BETWEEN};
    nanosleep(&time, NULL);
}

static inline void by_clock_nanosleep(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += BETWEEN;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static inline void by_condition(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += BETWEEN;
    pthread_mutex_lock(&mutex);
    pthread_cond_timedwait(&condition, &mutex, &time);
    pthread_mutex_unlock(&mutex);
}

/* It would be told by SIGHUP to read its configuration again. */
static inline void by_sigtimedwait(void)
{
    struct timespec time = {.tv_sec = BETWEEN};
    sigset_t set = set_of(SIGHUP);
    sigtimedwait(&set, NULL, &time);
}

static void *reaper(void *argument)
{
    for (;;) {
        SLEEP();
        reap_all();
    }
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    sigset_t set = set_of(SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    start_or_die(reaper, NULL);
    for (;;)
        serve_in_a_child(door, next_client(door));
}
