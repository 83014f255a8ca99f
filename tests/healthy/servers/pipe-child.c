/* Reads a line, forks a child process that writes the answer to a pipe, as a CGI program does, and sends that on; one client after
 * another.
 * While the child works, the server is blocked in a read of the pipe, and then in waitpid. Neither is a hang caused by a client. */
#include "common.h"

/* The line as a child says it: how many bytes, or -1. */
static ssize_t answer(char *line, size_t count, size_t room)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    pid_t child = fork();
    if (child == 0) {
        ssize_t written = write(ends[1], line, count);
        _exit(written == (ssize_t)count ? 0 : 1);
    }
    close(ends[1]);
    ssize_t got = 0, more = 1;
    while (child > 0 && (size_t)got < room && more != 0) {
        more = read(ends[0], line + got, room - got);
        if (more > 0)
            got += more;
        else if (more < 0 && errno != EINTR)
            break;
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return child > 0 ? got : -1;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        char line[4096];
        ssize_t got;
        int client = next_client(door);
        while ((got = receive(client, line, sizeof line, 0)) > 0) {
            got = answer(line, got, sizeof line);
            if (got < 0 || send_all(client, line, got, MSG_NOSIGNAL))
                break;
        }
        close(client);
    }
}
