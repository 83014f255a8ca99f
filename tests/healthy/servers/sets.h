/* Implements poll(2) with select(2) or a similar call, `ask`. */
#ifndef SETS_H
#define SETS_H

#include <poll.h>
#include <sys/select.h>

static inline int by_sets(struct pollfd *polls, nfds_t count, int (*ask)(int, fd_set *, fd_set *, int), int timeout)
{
    fd_set in, out;
    int most = -1;
    FD_ZERO(&in);
    FD_ZERO(&out);
    for (nfds_t i = 0; i < count; i++) {
        if (polls[i].fd < 0)
            continue;
        if (polls[i].events & POLLIN)
            FD_SET(polls[i].fd, &in);
        if (polls[i].events & POLLOUT)
            FD_SET(polls[i].fd, &out);
        most = polls[i].fd > most ? polls[i].fd : most;
    }
    int some = ask(most + 1, &in, &out, timeout);
    for (nfds_t i = 0; i < count; i++) {
        int asked = some > 0 && polls[i].fd >= 0;
        int readable = asked && FD_ISSET(polls[i].fd, &in), writable = asked && FD_ISSET(polls[i].fd, &out);
        polls[i].revents = (readable ? POLLIN : 0) | (writable ? POLLOUT : 0);
    }
    return some;
}

#endif
