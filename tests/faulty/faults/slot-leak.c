/* Sends back lines, to at most 16 clients at a time. More are told that it is busy.
 * Fault: a client whose connection failed is counted for ever.
 * Shown by: 16 clients that reset, one after another or together. After that everybody is told that it is busy.
 * The twin counts those who are there. */
#include "clients.h"

enum { PLACES = 16 };

int main(int argc, char **argv)
{
    static struct clients all;
    int taken = 0;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            if (how == GOES_ON)
                continue;
            leave(&all, i);
            if (how == ENDED || !FAULTY)
                taken--;
        }
        if (!all.called)
            continue;
        int before = all.count;
        welcome(&all);
        if (all.count > before && taken == PLACES) {
            send_all(all.at[before].fd, "busy\n", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
            leave(&all, before);
        } else
            taken += all.count - before;
    }
}
