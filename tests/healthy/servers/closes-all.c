/* Before it listens, it closes every descriptor number up to its limit, as xinetd does, because it may have inherited any of them. Then
 * it sends back what it receives, one client after another. Thousands of calls without progress are here neither a busy loop nor a start
 * that never ends. */
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
