/* Sends back what comes, to many clients at a time, in one level-triggered epoll loop. */
#include "server.h"

enum { MOST = 1024 };

static struct {
    size_t held;
    char bytes[4096];
} clients[MOST];

static void watch(int epoll, int how, int client, unsigned events)
{
    epoll_ctl(epoll, how, client, &(struct epoll_event){.events = events, .data.fd = client});
}

static void welcome(int epoll, int door)
{
    int client = accept(door, NULL, NULL);
    if (client < 0) {
        /* The listener would be ready for ever. */
        if (!only_this_client(errno))
            poll(NULL, 0, SHORT_OF_DESCRIPTORS);
    } else if (client >= MOST) {
        close(client);
    } else {
        clients[client].held = 0;
        watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN);
    }
}

/* Reads when there is nothing to send back, and sends back: 0, or -1 if it is over. */
static int serve(int epoll, int client)
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

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == door)
            welcome(epoll, door);
        else if (serve(epoll, event.data.fd))
            close(event.data.fd);
    }
}
