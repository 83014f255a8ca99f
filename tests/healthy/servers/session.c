/* A child process serves, one client after another, in a session and folder of its own and, if allowed, as another user, as sshd's do.
 * brokenpipe may then have no permission to see what the child waits in, and must not conclude that it waits for nothing. */
#include "common.h"
#include <grp.h>

enum { NOBODY = 65534 };

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    if (fork() > 0) {
        close(door);
        while (wait(NULL) < 0)
            ;
        return 1;
    }
    setsid();
    if (chdir("/"))
        err(1, "/");
    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
        warn("it stays root");
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
