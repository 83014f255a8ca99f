/* Sends back what comes, one client after another, and has a helper, which it ends with SIGTERM and starts again whenever a connection
 * has failed. That a process of a server is killed by a signal is no crash if it was the server that sent it. */
#include "common.h"

static pid_t helper(int door)
{
    pid_t child = fork();
    if (child == 0) {
        close(door);
        for (;;)
            pause();
    }
    return child;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    pid_t child = helper(door);
    for (;;) {
        int client = next_client(door), failed = echo(client);
        close(client);
        if (failed && child > 0) {
            kill(child, SIGTERM);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
            child = helper(door);
        }
    }
}
