/* Sends back lines, to many clients at a time.
 * Fault: once it has lacked descriptors, the server polls without waiting, because a descriptor could become free at any time.
 * Shown by: a limit of descriptors, also after it has been lifted. Clients are served as before.
 * The twin does not poll the listener for a while. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    int was_short = 0;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, was_short ? 0 : -1);
        for (int i = all.count; i-- > 0;)
            if (serve(&all.at[i]) != GOES_ON)
                leave(&all, i);
        if (all.called)
            welcome(&all);
        if (all.pause && FAULTY) {
            was_short = 1;
            all.pause = 0;
        }
    }
}
