/* Sends back lines, to at most 16 clients at a time.
 * Fault: a client whose connection failed keeps its slot for ever.
 * Shown by: 16 clients that reset, one after another or together. After that no client is accepted any more.
 * The twin frees the slot. */
#include "clients.h"

enum { PLACES = 16 };

int main(int argc, char **argv)
{
    static struct clients all;
    int door = listener(argc, argv), taken = 0;
    for (;;) {
        all.listener = taken < PLACES ? door : -1;
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            if (how == GOES_ON)
                continue;
            leave(&all, i);
            if (how == ENDED || !FAULTY)
                taken--;
        }
        if (all.called) {
            int before = all.count;
            welcome(&all);
            taken += all.count - before;
        }
    }
}
