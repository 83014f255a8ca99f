/* What a single-threaded server does that serves many clients at a time with level-triggered epoll, and sends back what comes. */
#ifndef EPOLL_H
#define EPOLL_H

#include "server.h"

#ifndef MOST
#define MOST 1024
#endif

static struct {
    size_t held;
    char bytes[4096];
} clients[MOST];

static inline void watch(int epoll, int how, int client, unsigned events)
{
    epoll_ctl(epoll, how, client, &(struct epoll_event){.events = events, .data.fd = client});
}

/* Accepts one client: 0, or -1 if the listener is to be left alone for a while, as it would be ready for ever. */
static inline int welcome(int epoll, int door)
{
    int client = accept(door, NULL, NULL);
    if (client < 0)
        return only_this_client(errno) ? 0 : -1;
    if (client >= MOST) {
        close(client);
        return 0;
    }
    clients[client].held = 0;
    watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN);
    return 0;
}

/* Reads when there is nothing to send back, and sends back: 0, or -1 if it is over. */
static inline int serve(int epoll, int client)
{
    size_t *held = &clients[client].held, before = *held;
    char *bytes = clients[client].bytes;
    if (*held == 0) {
        ssize_t got = receive(client, bytes, sizeof clients->bytes, MSG_DONTWAIT);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        *held = got;
    }
    ssize_t sent = send(client, bytes, *held, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return -1;
    if (sent > 0)
        memmove(bytes, bytes + sent, *held -= sent);
    if ((before > 0) != (*held > 0))
        watch(epoll, EPOLL_CTL_MOD, client, *held > 0 ? EPOLLOUT : EPOLLIN);
    return 0;
}

#endif
