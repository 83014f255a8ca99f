/* Goes into the background: the started process ends with 0, and its child forks for each client and lets the kernel reap (SIGCHLD
 * ignored).
 * The process that serves is not the one that was started, and has lost its parent. */
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
