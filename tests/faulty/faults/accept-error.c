/* Sends back what it receives, one client after another.
 * Fault: one error of `accept`, named by FAULT, ends the program. On Linux no order of events leads to some of these errors.
 * Shown by: `fault accept` with that error. EMFILE also by a limit of descriptors, and EINTR also by the signal that HANDLES names, if
 * it names one: its handler is installed without SA_RESTART.
 * The twin repeats the call: at once, or a little later if it lacks descriptors. */
#include "server.h"

#ifndef FAULT
#define FAULT 0
#endif

#ifndef HANDLES
#define HANDLES 0
#endif

static void nothing(int signal) { (void)signal; }

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = nothing};
    if (HANDLES)
        sigaction(HANDLES, &action, NULL);
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
