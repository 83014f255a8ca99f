/* Closes whatever it may have inherited, one number after another up to its limit, before it listens, as xinetd does. It sends back what
 * comes, one client after another. Thousands of calls that get it nowhere are neither a busy loop nor a start that never ends. */
#include "common.h"
#include <sys/resource.h>

enum { MOST = 20000 };

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < MOST ? limit.rlim_max : MOST;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
        close(fd);
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
