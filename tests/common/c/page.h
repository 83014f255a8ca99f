/* What a server has in common that answers each HTTP request with a page of one mebibyte, in one poll loop. */
#ifndef PAGE_H
#define PAGE_H

#include "server.h"

enum { PAGE = 1 << 20, MOST = 500 };

static char page[PAGE];
static size_t size;

struct request {
    size_t held, sent;
    int whole;
    char bytes[4096];
};

static struct request requests[MOST];
static struct pollfd polls[MOST + 1];
static int count, pause_for = -1;

static inline void make_page(void)
{
    int head = snprintf(page, sizeof page, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", PAGE - 4096);
    memset(page + head, '.', PAGE - 4096);
    size = head + PAGE - 4096;
}

/* Waits until there is something to do. */
static inline void wait_for_clients(int door)
{
    polls[count] = (struct pollfd){.fd = count < MOST && pause_for < 0 ? door : -1, .events = POLLIN};
    if (poll(polls, count + 1, pause_for) <= 0)
        for (int i = 0; i <= count; i++)
            polls[i].revents = 0;
    pause_for = -1;
}

/* Takes what there is of a request: 1 when it is whole, 0 when something is missing, -1 when nothing more will come. */
static inline int take(int i)
{
    struct request *of = &requests[i];
    if (of->whole)
        return 1;
    ssize_t got = receive(polls[i].fd, of->bytes + of->held, sizeof of->bytes - of->held, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    of->held += got;
    of->whole = memmem(of->bytes, of->held, "\r\n\r\n", 4) != NULL;
    return of->whole ? 1 : of->held == sizeof of->bytes ? -1 : 0;
}

/* Sends what can be sent of the page: 0 while something is left, -1 when it is over. */
static inline int give(int i)
{
    struct request *of = &requests[i];
    ssize_t sent = send(polls[i].fd, page + of->sent, size - of->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return -1;
    of->sent += sent > 0 ? sent : 0;
    polls[i].events = POLLOUT;
    return of->sent < size ? 0 : -1;
}

static inline void leave(int i)
{
    close(polls[i].fd);
    count--;
    polls[i] = polls[count];
    requests[i] = requests[count];
}

/* Accepts one client, if there is one. */
static inline void welcome(int door)
{
    int buffer = 1 << 16, called = 0;
    for (int i = count; i <= MOST && !called; i++)
        called = polls[i].fd == door && polls[i].revents;
    int client = called ? accept(door, NULL, NULL) : -1;
    if (!called)
        return;
    if (client < 0) {
        pause_for = only_this_client(errno) ? -1 : SHORT_OF_DESCRIPTORS;
        return;
    }
    setsockopt(client, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    requests[count] = (struct request){.held = 0};
    polls[count++] = (struct pollfd){.fd = client, .events = POLLIN};
}

#endif
