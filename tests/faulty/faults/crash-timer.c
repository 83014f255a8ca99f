/* Sends back lines, to many clients at a time, and looks every half a second for those that are there no more.
 * Fault: a client that failed in between is freed by the loop, and looked at again by the timer.
 * Shown by: a client that resets, and half a second.
 * The twin forgets it at once. */
#include "clients.h"

enum { LOOKS = 500 /* ms */ };

int main(int argc, char **argv)
{
    static struct clients all;
    char *last = NULL;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, LOOKS);
        int some = all.called;
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            some |= all.at[i].seen;
            if (how == FAILED && FAULTY)
                last = (char *)1;
            if (how != GOES_ON)
                leave(&all, i);
        }
        if (all.called)
            welcome(&all);
        if (!some && last)
            *last = 0;
    }
}
