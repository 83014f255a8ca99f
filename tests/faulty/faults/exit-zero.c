/* Sends back what it receives, one client after another.
 * Fault: an answer that cannot be sent ends the loop over all clients instead of the loop over this client, and so the program, with 0.
 * Shown by: a request whose client has reset before the answer; the server is held until then.
 * The twin leaves the inner loop only. */
#include "server.h"

int main(int argc, char **argv)
{
    char bytes[4096];
    ssize_t got;
    int failed = 0, door = listener(argc, argv);
    while (!failed || !FAULTY) {
        int client = next_client(door);
        failed = 0;
        while (!failed && (got = receive(client, bytes, sizeof bytes, 0)) > 0)
            failed = send_all(client, bytes, got, MSG_NOSIGNAL);
        close(client);
    }
    return 0;
}
