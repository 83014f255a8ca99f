/* Sends back lines, to many clients at a time.
 * Fault: the server polls for urgent data too, and never reads it: poll reports it until the client sends more or leaves.
 * Shown by: an urgent byte from a client that stays. When the client sends more or closes, the loop ends.
 * The twin does not poll for urgent data. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    all.also = FAULTY ? POLLPRI : 0;
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;)
            if (serve(&all.at[i]) != GOES_ON)
                leave(&all, i);
        if (all.called)
            welcome(&all);
    }
}
