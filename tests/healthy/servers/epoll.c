/* Serves many clients at a time with epoll, with or without a time limit, and sends back what it receives.
 * With the limit it wakes up again and again without any request: that is neither a busy loop nor progress. */
#include "epoll.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, TIMEOUT) != 1)
            continue;
        if (event.data.fd == door) {
            if (welcome(epoll, door))
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
        } else if (serve(epoll, event.data.fd)) {
            close(event.data.fd);
        }
    }
}
