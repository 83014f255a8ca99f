/* What several healthy servers need besides `server.h`: setting signal handlers, and helpers for child processes and threads.
 * Signals are handled without SA_RESTART: calls fail with EINTR, which each of these servers expects. */
#ifndef COMMON_H
#define COMMON_H

#include "server.h"
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static inline void nothing(int signal) { (void)signal; }

/* A handler that is called and cuts calls short. */
static inline void on(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, NULL);
}

static inline sigset_t set_of(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

static inline struct timespec milliseconds(long count)
{
    return (struct timespec){.tv_sec = count / 1000, .tv_nsec = count % 1000 * 1000000};
}

/* The next client of a listener that is waited for with a time limit or interrupted by signals: -1 if there was none this time. */
static inline int client_or_not(int door)
{
    int client = accept(door, NULL, NULL);
    if (client < 0 && !only_this_client(errno))
        poll(NULL, 0, SHORT_OF_DESCRIPTORS);
    return client;
}

/* Has a child of its own serve this client, who then is not ours any more. */
static inline void serve_in_a_child(int door, int client)
{
    if (fork() == 0) {
        close(door);
        echo(client);
        _exit(0);
    }
    close(client);
}

static inline void reap_all(void)
{
    int error = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = error;
}

static inline void start_or_die(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument))
        err(1, "pthread_create");
}

#endif
