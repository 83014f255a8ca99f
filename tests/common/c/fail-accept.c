/* Preloaded into a server, it fails one `accept` with the error whose number is in the file `fail-accept`, and removes the file.
 * No order of events leads to some of these errors; so it is seen without brokenpipe whether a specimen has its fault. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const char name[] = "fail-accept";

static int fails(void)
{
    char number[8] = "";
    int before = errno, file = open(name, O_RDONLY);
    ssize_t got = file < 0 ? -1 : read(file, number, sizeof number - 1);
    if (file >= 0)
        close(file);
    /* Of several that read it one removes it. */
    int error = got > 0 && unlink(name) == 0 ? atoi(number) : 0;
    errno = error ? error : before;
    return error;
}

int accept(int fd, struct sockaddr *address, socklen_t *size)
{
    int (*next)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");
    return fails() ? -1 : next(fd, address, size);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    int (*next)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    return fails() ? -1 : next(fd, address, size, flags);
}
