/* Sends back lines, to many clients at a time.
 * Fault: when a connection fails the server closes its listener, and does not exit.
 * Shown by: a client that resets.
 * The twin closes the connection. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            if (how == FAILED && FAULTY) {
                close(all.listener);
                all.listener = -1;
            }
            if (how != GOES_ON)
                leave(&all, i);
        }
        if (all.called && all.listener >= 0)
            welcome(&all);
    }
}
