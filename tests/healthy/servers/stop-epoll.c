/* Serves with epoll, and ends when a wait fails. It handles no signal, so that nothing but a stop by SIGSTOP makes one fail (signal(7)),
 * as `hold` is without the gate: what it does then is not for brokenpipe to report. */
#include "epoll.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            err(1, "epoll_wait");
        if (event.data.fd == door) {
            if (welcome(epoll, door))
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
        } else if (serve(epoll, event.data.fd)) {
            close(event.data.fd);
        }
    }
}
