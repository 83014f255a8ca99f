/* The loop of both proxies for a connected client and its backend. */
#ifndef RELAY_H
#define RELAY_H

#include "common.h"

/* Passes on what has come: 0, or -1 if that was the end. */
static inline int pass_on(int from, int to)
{
    char bytes[4096];
    ssize_t got = receive(from, bytes, sizeof bytes, 0);
    return got > 0 ? send_all(to, bytes, got, MSG_NOSIGNAL) : -1;
}

/* Passes on what each says until one of them has ended, and closes both. `behind` is -1 if there was nobody. */
static inline void relay(int client, int behind)
{
    int over = behind < 0;
    while (!over) {
        struct pollfd polls[] = {{.fd = client, .events = POLLIN}, {.fd = behind, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[0].revents)
            over = pass_on(client, behind);
        if (!over && polls[1].revents)
            over = pass_on(behind, client);
    }
    close(client);
    if (behind >= 0)
        close(behind);
}

#endif
