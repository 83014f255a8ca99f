/* Forks for each client; a handler of SIGCHLD without SA_RESTART reaps, and whatever call that interrupts is made again.
 * close is not made again: on Linux it is done when it returns EINTR. Under a tool that has it fail unmade, descriptors stay open. */
#include "common.h"

static void reap_here(int signal)
{
    (void)signal;
    reap_all();
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    on(SIGCHLD, reap_here);
    for (;;) {
        int client = client_or_not(door);
        if (client >= 0)
            serve_in_a_child(door, client);
    }
}
