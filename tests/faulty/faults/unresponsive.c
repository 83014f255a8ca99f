/* Sends back lines, to many clients at a time, and accepts no new ones while it has connections to close.
 * Fault: connections to close are counted, and the count is not decremented for a connection that failed.
 * Shown by: a client that resets. Connected clients are still served, and no new client is accepted any more.
 * The twin decrements the count. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    int door = listener(argc, argv), closing = 0;
    for (;;) {
        all.listener = closing ? -1 : door;
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            if (how == GOES_ON)
                continue;
            closing++;
            leave(&all, i);
            if (how == ENDED || !FAULTY)
                closing--;
        }
        if (all.called)
            welcome(&all);
    }
}
