/* Loaded between the daemon and the C library by LD_PRELOAD: errors of accept4, and a clock that jumps. HFTPD_SHIM names a
 * file with a struct knobs, which shim.rs writes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct knobs {
    int64_t accept_error;  /* the error of accept4; 0: none */
    int64_t accept_times;  /* the number of calls that still fail */
    int64_t clock_offset;  /* shift of the time of day in seconds */
    int64_t clock_reads;   /* how often it was read */
    int64_t user_lookups;  /* how often the name service was asked for a user */
};

static struct knobs none;
static struct knobs *knobs = &none;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HFTPD_SHIM");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof *knobs, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        knobs = shared;
}

/* Not on the control socket, by which tests observe the daemon. */
static int fails(int socket)
{
    int domain = AF_UNIX;
    socklen_t length = sizeof domain;
    getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    if (domain == AF_UNIX || __atomic_load_n(&knobs->accept_error, __ATOMIC_SEQ_CST) == 0)
        return 0;
    return __atomic_fetch_sub(&knobs->accept_times, 1, __ATOMIC_SEQ_CST) > 0;
}

int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags)
{
    int (*real)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    if (!fails(socket))
        return real(socket, address, length, flags);
    int error = (int)knobs->accept_error;
    if (error == ECONNABORTED) {
        /* The kernel removes the connection from the queue. */
        int accepted = real(socket, address, length, flags);
        if (accepted < 0) {
            __atomic_fetch_add(&knobs->accept_times, 1, __ATOMIC_SEQ_CST);
            return accepted;
        }
        close(accepted);
    }
    errno = error;
    return -1;
}

static time_t offset(void)
{
    __atomic_fetch_add(&knobs->clock_reads, 1, __ATOMIC_SEQ_CST);
    return (time_t)__atomic_load_n(&knobs->clock_offset, __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return result;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

int getpwuid_r(uid_t uid, struct passwd *record, char *buffer, size_t size, struct passwd **found)
{
    int (*real)(uid_t, struct passwd *, char *, size_t, struct passwd **) = dlsym(RTLD_NEXT, "getpwuid_r");
    __atomic_fetch_add(&knobs->user_lookups, 1, __ATOMIC_SEQ_CST);
    return real(uid, record, buffer, size, found);
}
