/* Answers each HTTP request with a page of one mebibyte, in one level-triggered epoll loop, and closes.
 * Fault: the server registers for EPOLLIN while it writes the answer; after a FIN this is always reported, and the server does not read.
 * Shown by: a request, then a half-close by a client that does not read. When the client resets or closes, the loop ends.
 * The twin registers for EPOLLOUT only. */
#include "server.h"

enum { PAGE = 1 << 20, MOST = 1024 };

static struct {
    size_t held, sent;
    char request[4096];
} clients[MOST];

static char page[PAGE];
static size_t size;

static void watch(int epoll, int how, int client, unsigned events)
{
    epoll_ctl(epoll, how, client, &(struct epoll_event){.events = events, .data.fd = client});
}

/* Takes what there is of a request: 1 when it is whole, 0 when something is missing, -1 when nothing more will come. */
static int take(int client)
{
    size_t held = clients[client].held, room = sizeof clients->request - held;
    char *request = clients[client].request;
    ssize_t got = receive(client, request + held, room, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    clients[client].held = held += got;
    return memmem(request, held, "\r\n\r\n", 4) ? 1 : held == sizeof clients->request ? -1 : 0;
}

/* Sends what can be sent of the page: 0 while something is left, -1 when it is over. */
static int give(int client)
{
    size_t *at = &clients[client].sent;
    ssize_t sent = send(client, page + *at, size - *at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    *at += sent;
    return *at < size ? 0 : -1;
}

static void welcome(int epoll, int door)
{
    int client = accept(door, NULL, NULL), buffer = 1 << 16;
    if (client < 0) {
        if (!only_this_client(errno))
            poll(NULL, 0, SHORT_OF_DESCRIPTORS);
    } else if (client >= MOST) {
        close(client);
    } else {
        setsockopt(client, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        clients[client].held = clients[client].sent = 0;
        watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0);
    int head = snprintf(page, sizeof page, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", PAGE - 4096);
    memset(page + head, '.', PAGE - 4096);
    size = head + PAGE - 4096;
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        int client = event.data.fd;
        if (client == door) {
            welcome(epoll, door);
            continue;
        }
        int writes = clients[client].sent > 0 || event.events & EPOLLOUT, over = 0;
        if (!writes && (over = take(client)) > 0) {
            writes = 1;
            watch(epoll, EPOLL_CTL_MOD, client, FAULTY ? EPOLLIN | EPOLLOUT : EPOLLOUT);
        }
        if (writes)
            over = give(client);
        if (over < 0)
            close(client);
    }
}
