/* Sends back lines, to many clients at a time. It has two faults of one kind:
 * - ECONNABORTED from `accept` ends it. On Linux no order of events leads to this error;
 * - when a connection fails the server asks for the peer's address, for its log, and exits if there is none any more. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            struct sockaddr_in peer;
            socklen_t size = sizeof peer;
            enum served how = serve(&all.at[i]);
            if (how == FAILED && getpeername(all.at[i].fd, (struct sockaddr *)&peer, &size))
                err(1, "getpeername");
            if (how != GOES_ON)
                leave(&all, i);
        }
        int before = all.count;
        if (all.called)
            welcome(&all);
        if (all.called && all.count == before && errno == ECONNABORTED)
            err(1, "accept");
    }
}
