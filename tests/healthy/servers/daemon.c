/* Goes into the background and ends where it was started; from there it forks for each client, and the kernel reaps (SIGCHLD ignored).
 * The process that was started has ended with 0, and the one that serves has lost its parent. */
#include "common.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    if (daemon(1, 0))
        err(1, "daemon");
    signal(SIGCHLD, SIG_IGN);
    for (;;)
        serve_in_a_child(door, next_client(door));
}
