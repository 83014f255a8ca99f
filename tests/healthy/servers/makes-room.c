/* Sends back lines, to many clients at a time, of which two may be idle. If a third is, it closes the connection that has been
 * idle for longest: that of a polite client, if several others come after it. */
#include "clients.h"

enum { IDLE = 2 };

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
    for (int i = all.count; i-- > 0;)
        if (all.at[i].fd == idle[0]) {
            forget(idle[0]);
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
        int before = all.count;
        if (all.called)
            welcome(&all);
        if (all.count > before)
            idle[idlers++] = all.at[before].fd;
        while (idlers > IDLE)
            make_room();
    }
}
