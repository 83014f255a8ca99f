/* Sends back lines, to many clients at a time.
 * Fault: poll is asked for urgent data too, and nobody takes it: it is ready until the client sends more or leaves.
 * Shown by: an urgent byte of a client that stays. When it sends more or closes all is well again.
 * The twin does not ask for it. */
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
