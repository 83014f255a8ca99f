/* Sends back what it receives, one client after another, while setitimer sends it SIGALRM every millisecond, handled without SA_RESTART.
 * Each of its calls may return EINTR at any time and is then repeated, except close, which on Linux has closed the descriptor then. */
#include "common.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    struct itimerval every = {{.tv_usec = 1000}, {.tv_usec = 1000}};
    on(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &every, NULL);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
