/* Answers each HTTP request with a page of one mebibyte, in one poll loop, and closes.
 * Fault: the answer is sent by calls that block.
 * Shown by: a request of a client that does not read. Nobody else is served while it is there.
 * The twin sends what can be sent, and waits for more room among the others. */
#include "page.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    make_page();
    for (;;) {
        wait_for_clients(door);
        for (int i = count; i-- > 0;) {
            if (!polls[i].revents)
                continue;
            int over = take(i);
            if (over > 0)
                over = FAULTY ? (send_all(polls[i].fd, page, size, MSG_NOSIGNAL), -1) : give(i);
            if (over < 0)
                leave(i);
        }
        welcome(door);
    }
}
