/* Sends back lines, to many clients at a time, and takes no new ones while it has some to close.
 * Fault: those that it has to close are counted, and one whose connection failed is never counted down again.
 * Shown by: a client that resets. Those that are there are served on, and nobody is accepted any more.
 * The twin counts it down. */
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
