/* Makes writes of a program to one folder fail, like a failing disk.
 *
 * Loaded with LD_PRELOAD. While the file $ZIBRATO_DISK_ERROR exists, every call that changes something
 * below the folder $ZIBRATO_DISK fails with the error number in that file, in digits.
 * Reading still works, as it usually does when a disk is failing or mounted read-only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The error to return, or 0. It uses only system calls, because the library's functions are replaced. */
static int error_now(void) {
    const char *path = getenv("ZIBRATO_DISK_ERROR");
    if (!path) return 0;
    int saved = errno;
    long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    char digits[16] = {0};
    if (file >= 0) {
        syscall(SYS_read, file, digits, sizeof digits - 1);
        syscall(SYS_close, file);
    }
    errno = saved;
    return atoi(digits);
}

static int is_below(const char *path) {
    const char *folder = getenv("ZIBRATO_DISK");
    size_t length = folder ? strlen(folder) : 0;
    return length && path && strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == 0 || strcmp(path + length, " (deleted)") == 0);
}

/* Whether a path fails. Relative paths are ignored, because daemons use none. */
static int fails(const char *path) {
    int error = is_below(path) ? error_now() : 0;
    if (error) errno = error;
    return error != 0;
}

static int fails_file(int file) {
    int error = error_now();
    if (!error) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int saved = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length < 0) return 0;
    path[length] = 0;
    if (!is_below(path)) return 0;
    errno = error;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        if (CHANGES(flags) && fails(path)) return -1;                                              \
        return NEXT(name)(path, flags, mode);                                                      \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        if (CHANGES(flags) && (path[0] == '/' ? fails(path) : folder >= 0 && fails_file(folder)))   \
            return -1;                                                                             \
        return NEXT(name)(folder, path, flags, mode);                                              \
    }
OPENAT(openat)
OPENAT(openat64)

#define FILE_CALL(result, name, parameters, arguments)                                             \
    result name parameters { return fails_file(file) ? -1 : NEXT(name) arguments; }
FILE_CALL(ssize_t, write, (int file, const void *bytes, size_t n), (file, bytes, n))
FILE_CALL(ssize_t, writev, (int file, const struct iovec *parts, int n), (file, parts, n))
FILE_CALL(ssize_t, pwrite, (int file, const void *bytes, size_t n, off_t at), (file, bytes, n, at))
FILE_CALL(ssize_t, pwrite64, (int file, const void *bytes, size_t n, off64_t at), (file, bytes, n, at))
FILE_CALL(int, fsync, (int file), (file))
FILE_CALL(int, fdatasync, (int file), (file))
FILE_CALL(int, ftruncate, (int file, off_t length), (file, length))
FILE_CALL(int, ftruncate64, (int file, off64_t length), (file, length))
FILE_CALL(int, fallocate, (int file, int mode, off_t at, off_t n), (file, mode, at, n))
FILE_CALL(int, fallocate64, (int file, int mode, off64_t at, off64_t n), (file, mode, at, n))
FILE_CALL(int, posix_fallocate, (int file, off_t at, off_t n), (file, at, n))

#define PATH_CALL(name, parameters, arguments)                                                     \
    int name parameters { return fails(path) ? -1 : NEXT(name) arguments; }
PATH_CALL(unlink, (const char *path), (path))
PATH_CALL(mkdir, (const char *path, mode_t mode), (path, mode))
PATH_CALL(rmdir, (const char *path), (path))
PATH_CALL(rename, (const char *path, const char *to), (path, to))
PATH_CALL(truncate, (const char *path, off_t length), (path, length))
