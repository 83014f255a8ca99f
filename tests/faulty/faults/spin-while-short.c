/* Sends back lines, to many clients at a time.
 * Fault: while descriptors are short it asks for the next client again and again.
 * Shown by: a limit of descriptors and a client that waits. When it is lifted, all is well.
 * The twin leaves the listener alone for a while. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;)
            if (serve(&all.at[i]) != GOES_ON)
                leave(&all, i);
        if (all.called)
            welcome(&all);
        if (FAULTY)
            all.pause = 0;
    }
}
