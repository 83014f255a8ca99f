/* Sends back what comes, one client after another.
 * Fault: one error of `accept`, that which FAULT names, ends the program. On Linux no order of events leads to some of them.
 * Shown by: `fault accept` with that error.
 * The twin asks again: at once, or a little later if descriptors are short. */
#include "server.h"

#ifndef FAULT
#define FAULT 0
#endif

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = accept(door, NULL, NULL);
        if (client < 0) {
            if (errno == FAULT)
                err(1, "accept");
            if (!only_this_client(errno))
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
            continue;
        }
        echo(client);
        close(client);
    }
}
