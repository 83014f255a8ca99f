/* Forks for each client; a handler of SIGCHLD without SA_RESTART reaps, and a call that it interrupts is repeated.
 * close is not repeated: on Linux it has closed the descriptor when it returns EINTR. If a tool made close fail before it ran,
 * descriptors would stay open. */
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
