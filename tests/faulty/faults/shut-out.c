/* Sends back lines, to many clients at a time.
 * Fault: it waits for the rest of a line that has begun.
 * Shown by: a client that sends half a line and stays. Nobody else is served while it is there.
 * The twin keeps what has come, and serves the others meanwhile. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            while (FAULTY && how == GOES_ON && all.at[i].held && !all.at[i].ready) {
                struct pollfd rest = {.fd = all.at[i].fd, .events = POLLIN};
                poll(&rest, 1, -1);
                all.at[i].seen = rest.revents;
                how = serve(&all.at[i]);
            }
            if (how != GOES_ON)
                leave(&all, i);
        }
        if (all.called)
            welcome(&all);
    }
}
