/* Answers HTTP requests with a short page, and refuses bodies of more than 64 KiB.
 * Fault: once it has refused one it forgets the connection, and never closes it.
 * Shown by: a request that announces a larger body, of a client that then closes.
 * The twin closes at once. */
#include "server.h"

enum { MOST = 500, LARGEST = 65536 };

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
static const char refused[] = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

static struct pollfd polls[MOST + 1];
static struct {
    size_t held;
    char bytes[4096];
    long body; /* what of it has not come yet, or -1 if the head is not whole */
} clients[MOST];
static int count;

static void leave(int i, int closes)
{
    if (closes)
        close(polls[i].fd);
    count--;
    polls[i] = polls[count];
    clients[i] = clients[count];
}

/* Serves one client a little: 0 while it goes on, -1 if it is to be closed, 1 if it is forgotten. */
static int serve(int i)
{
    char bytes[4096];
    ssize_t got = receive(polls[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    if (clients[i].body < 0) {
        if (clients[i].held + got >= sizeof clients[i].bytes)
            return -1;
        memcpy(clients[i].bytes + clients[i].held, bytes, got);
        clients[i].held += got;
        clients[i].bytes[clients[i].held] = 0;
        char *end = strstr(clients[i].bytes, "\r\n\r\n"), *length = strcasestr(clients[i].bytes, "\r\nContent-Length:");
        if (!end)
            return 0;
        long body = length && length < end ? atol(length + 17) : 0;
        if (body > LARGEST) {
            send_all(polls[i].fd, refused, sizeof refused - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            return FAULTY ? 1 : -1;
        }
        clients[i].body = body;
        got = clients[i].bytes + clients[i].held - (end + 4);
    }
    clients[i].body -= got;
    if (clients[i].body > 0)
        return 0;
    send_all(polls[i].fd, ok, sizeof ok - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    return -1;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv), paused = 0;
    for (;;) {
        polls[count] = (struct pollfd){.fd = count < MOST && !paused ? door : -1, .events = POLLIN};
        int some = poll(polls, count + 1, paused ? SHORT_OF_DESCRIPTORS : -1) > 0, called = some && polls[count].revents;
        paused = 0;
        for (int i = some ? count : 0; i-- > 0;) {
            int how = polls[i].revents ? serve(i) : 0;
            if (how)
                leave(i, how < 0);
        }
        int client = called ? accept(door, NULL, NULL) : -1;
        if (called && client < 0)
            paused = !only_this_client(errno);
        if (client >= 0) {
            clients[count].held = 0;
            clients[count].body = -1;
            polls[count++] = (struct pollfd){.fd = client, .events = POLLIN};
        }
    }
}
