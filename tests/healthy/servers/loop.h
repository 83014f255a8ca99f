/* The loop of a server that waits with WAIT (see `clients.h`). */
#ifndef LOOP_H
#define LOOP_H

#include "clients.h"

static inline void serve_what_is_ready(struct clients *all)
{
    if (all->called)
        welcome(all);
    for (int i = all->count - 1; i >= 0; i--)
        if (serve(&all->at[i]) != GOES_ON)
            leave(all, i);
}

/* Serves as long as something is ready, and does not wait. */
static inline void serve_all_there_is(struct clients *all)
{
    int ready = 1;
    while (ready) {
        wait_for(all, 0);
        ready = all->called;
        for (int i = 0; i < all->count; i++)
            ready |= all->at[i].seen;
        serve_what_is_ready(all);
    }
}

/* For ever, waiting for so many milliseconds at a time, or without a time limit where that is -1. */
_Noreturn static inline void serve_on(int listener, int timeout)
{
    static struct clients all;
    all.listener = listener;
    for (;;) {
        wait_for(&all, timeout);
        serve_what_is_ready(&all);
    }
}

#endif
