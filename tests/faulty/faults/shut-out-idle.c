/* Sends back lines, to many clients at a time, of which eight may be idle after a line.
 * Fault: if a ninth is, the server waits until one of the eight says something or leaves.
 * Shown by: nine clients that send a line and stay. Nobody else is served while they are there.
 * The twin has room for all of them. */
#include "clients.h"

enum { IDLE = 8 };

static struct clients all;
static int idle[MOST + 1], idlers;

static void forget(int fd)
{
    for (int k = 0; k < idlers; k++)
        if (idle[k] == fd) {
            memmove(idle + k, idle + k + 1, (--idlers - k) * sizeof *idle);
            return;
        }
}

/* Makes room for another client that is idle. */
static void make_room(void)
{
    struct pollfd those[IDLE];
    for (int k = 0; k < IDLE; k++)
        those[k] = (struct pollfd){.fd = idle[k], .events = POLLIN};
    poll(those, IDLE, -1);
    int out = 0;
    for (int k = 0; k < IDLE; k++)
        if (those[k].revents)
            out = k;
    for (int i = all.count; i-- > 0;)
        if (all.at[i].fd == idle[out]) {
            forget(idle[out]);
            leave(&all, i);
            return;
        }
}

int main(int argc, char **argv)
{
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            int fd = all.at[i].fd;
            if (!all.at[i].seen)
                continue;
            forget(fd);
            enum served how = serve(&all.at[i]);
            if (how != GOES_ON) {
                leave(&all, i);
                continue;
            }
            if (all.at[i].held)
                continue;
            idle[idlers++] = fd;
        }
        if (all.called)
            welcome(&all);
        while (FAULTY && idlers > IDLE)
            make_room();
    }
}
