/* Opens 3,000 descriptors before its listener, as a server of that many files does. It sends back what it receives, with epoll.
 * The numbers of its sockets are above the default limit of descriptors. */
#define MOST 4096
#include "epoll.h"
#include <sys/resource.h>

enum { FILES = 3000 };

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < FILES; i++)
        if (open("/dev/null", O_RDONLY) < 0)
            err(1, "file %d", i);
    int door = listener(argc, argv), epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == door) {
            if (welcome(epoll, door))
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
        } else if (serve(epoll, event.data.fd)) {
            close(event.data.fd);
        }
    }
}
