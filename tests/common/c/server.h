/* What every faulty server needs: its listener, and calls on sockets that are made again when a signal cuts them short.
 * `FAULTY` is 1 in a faulty server and 0 in its honest twin; the compiler sees the code of both. */
#ifndef SERVER_H
#define SERVER_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef FAULT
#define FAULTY 1
#else
#define FAULTY 0
#endif

/* Descriptor 3 if a listener was handed over (LISTEN_FDS), otherwise one on the port of loopback that the argument names. */
static inline int listener(int argc, char **argv)
{
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    int fd = 3, on = 1;
    if (!count || !pid || atoi(count) != 1 || atoi(pid) != getpid()) {
        if (argc != 2)
            errx(2, "usage: %s PORT", argv[0]);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 128))
            err(2, "port %s", argv[1]);
    }
    /* Accepted sockets inherit it: an answer in two parts does not wait for an acknowledgement. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* How long an honest server lets pass before it asks its listener again when descriptors or memory are short. */
enum { SHORT_OF_DESCRIPTORS = 100 /* ms */ };

/* Whether it is this one client that could not be accepted, and the next may be asked for at once. */
static inline int only_this_client(int error) { return error == EINTR || error == ECONNABORTED || error == EAGAIN; }

/* The next client. That `accept` fails says nothing about the listener. */
static inline int next_client(int listener)
{
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0)
            return client;
        if (!only_this_client(errno))
            poll(NULL, 0, SHORT_OF_DESCRIPTORS);
    }
}

static inline ssize_t receive(int client, void *bytes, size_t count, int flags)
{
    ssize_t got;
    do
        got = recv(client, bytes, count, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Sends all of it, or gives -1. */
static inline int send_all(int client, const char *bytes, size_t count, int flags)
{
    while (count > 0) {
        ssize_t sent = send(client, bytes, count, flags);
        if (sent < 0 && errno != EINTR)
            return -1;
        if (sent > 0) {
            bytes += sent;
            count -= sent;
        }
    }
    return 0;
}

/* Sends back whatever comes: 0 at the end, or -1 if the connection failed. */
static inline int echo(int client)
{
    char bytes[4096];
    ssize_t got;
    while ((got = receive(client, bytes, sizeof bytes, 0)) > 0)
        if (send_all(client, bytes, got, MSG_NOSIGNAL))
            return -1;
    return got;
}

static inline void reap(int signal)
{
    static const char said[] = "a child was killed by SIGPIPE\n";
    int error = errno, status;
    (void)signal;
    while (waitpid(-1, &status, WNOHANG) > 0)
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE && write(2, said, sizeof said - 1) < 0)
            break;
    errno = error;
}

/* Children are reaped as they end. */
static inline void reap_children(void)
{
    struct sigaction action = {.sa_handler = reap, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigaction(SIGCHLD, &action, NULL);
}

/* Starts a thread that nobody waits for. */
static inline void start_thread(void *(*body)(void *), int client)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, (void *)(long)client))
        close(client);
    else
        pthread_detach(thread);
}

#endif
