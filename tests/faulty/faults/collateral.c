/* Sends back lines, to many clients at a time.
 * Fault: when one connection fails the server closes all of them.
 * Shown by: a client that resets while another is connected.
 * The twin closes only the failed connection. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        int failed = 0;
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            failed |= how == FAILED;
            if (how != GOES_ON)
                leave(&all, i);
        }
        while (failed && FAULTY && all.count > 0)
            leave(&all, 0);
        if (all.called)
            welcome(&all);
    }
}
