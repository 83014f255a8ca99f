/* Answers each HTTP request with a page of one mebibyte, in one poll loop, and closes.
 * Fault: if a connection fails, the client that has been there for longest is closed too.
 * Shown by: a client that resets, while another one is in the middle of its request.
 * The twin closes the one that failed. */
#include "page.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    make_page();
    for (;;) {
        wait_for_clients(door);
        int failed = 0;
        for (int i = count; i-- > 0;) {
            if (!polls[i].revents)
                continue;
            errno = 0;
            int over = take(i);
            failed |= over < 0 && errno == ECONNRESET;
            if (over > 0)
                over = give(i);
            if (over < 0)
                leave(i);
        }
        welcome(door);
        if (failed && FAULTY && count > 0)
            leave(0);
    }
}
