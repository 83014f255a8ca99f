/* The loop of a single-threaded server that serves many clients at a time with poll(2) or its like, and sends back each line. */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "server.h"

/* What waits, called as poll(2) is. */
#ifndef WAIT
#define WAIT poll
#endif

enum { MOST = 500 };

struct client {
    int fd;
    short seen;   /* what poll said */
    int idle;     /* poll is asked for nothing: it tells of errors and hang-ups all the same */
    size_t held;  /* bytes that came and were not sent back */
    size_t ready; /* those of them that are to be sent back: they end in a line's end, or fill the buffer */
    char bytes[4096];
};

struct clients {
    int listener; /* or -1: none is asked */
    int called;   /* somebody waits to be accepted */
    int pause;    /* the listener is left alone for a while */
    short also;   /* what poll is asked for besides what is needed */
    int count;
    struct client at[MOST];
};

/* How it went with a client. */
enum served { GOES_ON, ENDED, FAILED };

static inline short asked_for(const struct clients *all, int i)
{
    return all->at[i].idle ? 0 : all->also | (all->at[i].ready ? POLLOUT : POLLIN);
}

/* Waits until there is something to do, or for this many milliseconds. */
static inline void wait_for(struct clients *all, int timeout)
{
    static struct pollfd polls[MOST + 1];
    int asked = !all->pause && all->count < MOST ? all->listener : -1;
    if (all->pause)
        timeout = SHORT_OF_DESCRIPTORS;
    for (int i = 0; i < all->count; i++)
        polls[i] = (struct pollfd){.fd = all->at[i].fd, .events = asked_for(all, i)};
    polls[all->count] = (struct pollfd){.fd = asked, .events = POLLIN};
    int some = WAIT(polls, all->count + 1, timeout) > 0;
    for (int i = 0; i < all->count; i++)
        all->at[i].seen = some ? polls[i].revents : 0;
    all->called = some && polls[all->count].revents;
    all->pause = 0;
}

/* Accepts one client. If that fails for want of something, the listener is left alone for a while: it would be ready for ever. */
static inline void welcome(struct clients *all)
{
    int client = accept(all->listener, NULL, NULL);
    if (client >= 0)
        all->at[all->count++] = (struct client){.fd = client};
    else
        all->pause = !only_this_client(errno);
}

static inline void leave(struct clients *all, int i)
{
    close(all->at[i].fd);
    all->at[i] = all->at[--all->count];
}

static inline size_t lines(const struct client *client)
{
    const char *end = memrchr(client->bytes, '\n', client->held);
    return end ? (size_t)(end - client->bytes) + 1 : client->held == sizeof client->bytes ? client->held : 0;
}

static inline enum served serve(struct client *client)
{
    if (!(client->seen & ~POLLPRI))
        return GOES_ON;
    if (!client->ready) {
        size_t room = sizeof client->bytes - client->held;
        ssize_t got = receive(client->fd, client->bytes + client->held, room, MSG_DONTWAIT);
        if (got <= 0)
            return got == 0 ? ENDED : errno == EAGAIN ? GOES_ON : FAILED;
        client->held += got;
        client->ready = lines(client);
    }
    if (client->ready) {
        ssize_t sent = send(client->fd, client->bytes, client->ready, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? GOES_ON : FAILED;
        client->held -= sent;
        client->ready -= sent;
        memmove(client->bytes, client->bytes + sent, client->held);
    }
    return GOES_ON;
}

#endif
