/* Answers each HTTP request with a page of one mebibyte, in one poll loop, and closes, with SO_LINGER of a minute.
 * Fault: a client that half-closes before it has all of its answer is taken for one that has gone. The close then waits for a minute.
 * Shown by: a request and a half-close of a client that does not read. Nobody else is served meanwhile.
 * The twin closes such a connection as any other, and SO_LINGER makes no difference to a socket that does not block. */
#include "page.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    struct linger minute = {.l_onoff = 1, .l_linger = 60};
    make_page();
    for (;;) {
        wait_for_clients(door);
        for (int i = count; i-- > 0;) {
            if (!polls[i].revents)
                continue;
            char byte;
            int fd = polls[i].fd, over = take(i), half = over > 0 && recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
            if (over > 0)
                over = give(i);
            if (over == 0 && half && FAULTY)
                over = -1;
            if (over < 0) {
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &minute, sizeof minute);
                if (!FAULTY)
                    fcntl(fd, F_SETFL, O_NONBLOCK);
                leave(i);
            }
        }
        welcome(door);
    }
}
