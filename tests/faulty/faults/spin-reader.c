/* Answers each HTTP request with a page of one mebibyte, in one poll loop, and closes.
 * Fault: a send that would block is made again at once.
 * Shown by: a request of a client that does not read. The server is busy, and serves nobody else, while it is there.
 * The twin waits for more room among the others. */
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
            while (over > 0) {
                over = give(i);
                if (over == 0 && FAULTY)
                    over = 1;
                else
                    break;
            }
            if (over < 0)
                leave(i);
        }
        welcome(door);
    }
}
