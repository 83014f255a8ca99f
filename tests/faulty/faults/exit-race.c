/* Sends back what it receives, one client after another. A second thread does the accounting of connections that failed.
 * Fault: a failed connection raises the flag that means the end of the program, and the second thread lowers it after its accounting. If
 * the first thread checks the flag meanwhile, the program ends with 0. With the gate this never happens: the close is released when
 * everything else is blocked.
 * Shown by: clients that reset.
 * The twin raises no flag. */
#include "server.h"

enum { BOOKS = 1 << 20 };

static sem_t failed;
static volatile int the_end;

static void *keep_books(void *unused)
{
    static volatile unsigned books;
    (void)unused;
    while (!sem_wait(&failed)) {
        for (int i = 0; i < BOOKS; i++)
            books++;
        the_end = 0;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    sem_init(&failed, 0, 0);
    start_thread(keep_books, -1);
    while (!the_end) {
        int client = next_client(door);
        if (echo(client)) {
            the_end = FAULTY;
            sem_post(&failed);
        }
        close(client);
    }
}
