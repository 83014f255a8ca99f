/* Has a child serve that takes a session, a folder and, if it may, a user of its own, as sshd's do; one client after another.
 * Whoever may no longer look at what the child waits in must not conclude that it waits for nothing. */
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
