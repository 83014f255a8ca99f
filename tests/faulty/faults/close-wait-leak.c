/* Sends back lines, to many clients at a time.
 * Fault: when a client has closed in the middle of a line the server waits for POLLHUP, which never comes while its own side is open.
 * Shown by: a part of a line, then a FIN. A reset instead of the FIN or after it is noticed.
 * The twin closes the connection. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;) {
            struct client *client = &all.at[i];
            enum served how = serve(client);
            if (how == ENDED && client->held > 0 && !client->idle && FAULTY)
                client->idle = 1;
            else if (how != GOES_ON)
                leave(&all, i);
        }
        if (all.called)
            welcome(&all);
    }
}
