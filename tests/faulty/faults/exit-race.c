/* Sends back what comes, one client after another. A second thread keeps the books of connections that failed.
 * Fault: a failure raises the flag that means the end, and the second thread lowers it when its books are done; whoever looks meanwhile
 * ends with 0. Where calls are let in one by one, nobody does: the close comes after all that runs.
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
