/* The functions that wait until a clock shows a given time. The kernel and the C library wait by the real clock, so the
 * deadline is moved to the real moment at which the virtual clock will show it. Relative waits are left alone.
 *
 * The limits, all of them documented in ../mod.rs:
 * - A wait that is already under way when squall changes the law keeps the moment it was given.
 * - A frozen clock never reaches a later deadline; the wait then lasts as long as the deadline is ahead of the clock,
 *   as if it ran, since a program that never wakes again could not be healed.
 * - timer_settime, mq_timedsend, mq_timedreceive, pthread_timedjoin_np, io_uring timeouts and system calls that a program
 *   makes by its own instructions keep real deadlines. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <threads.h>
#include <unistd.h>

#include "shim.h"

/* The condition variables of 2.3.2 are the ones in use; on x86-64 an older kind still has the same name. */
#if defined(__x86_64__)
#define COND_VERSION "GLIBC_2.3.2"
#else
#define COND_VERSION NULL
#endif

#if __GLIBC_PREREQ(2, 30)
#define CLOCK_WAITS(X)                                                                                                 \
    X(pthread_cond_clockwait, NULL)                                                                                    \
    X(sem_clockwait, NULL)                                                                                             \
    X(pthread_mutex_clocklock, NULL)                                                                                   \
    X(pthread_rwlock_clockrdlock, NULL)                                                                                \
    X(pthread_rwlock_clockwrlock, NULL)
#else
#define CLOCK_WAITS(X)
#endif

#define WAITS(X)                                                                                                       \
    X(pthread_cond_timedwait, COND_VERSION)                                                                            \
    X(cnd_timedwait, NULL)                                                                                             \
    X(mtx_timedlock, NULL)                                                                                             \
    X(sem_timedwait, NULL)                                                                                             \
    X(pthread_mutex_timedlock, NULL)                                                                                   \
    X(pthread_rwlock_timedrdlock, NULL)                                                                                \
    X(pthread_rwlock_timedwrlock, NULL)                                                                                \
    X(clock_nanosleep, NULL)                                                                                           \
    X(timerfd_settime, NULL)                                                                                           \
    X(syscall, NULL)                                                                                                   \
    CLOCK_WAITS(X)

/* The C library's own, found by the constructor: later, in a signal handler or a forked child, dlsym could deadlock. */
#define DECLARE(name, version) static __typeof__(name) *_Atomic real_##name;
WAITS(DECLARE)

#define FIND(name, version) real_##name = (__typeof__(name) *)squall_next(#name, version);
void squall_find_waits(void) { WAITS(FIND) }

/* For calls from constructors that run before ours. */
#define REAL(name, version)                                                                                            \
    __typeof__(name) *real = atomic_load_explicit(&real_##name, memory_order_relaxed);                                 \
    if (UNLIKELY(real == NULL))                                                                                        \
        real = (__typeof__(name) *)squall_next(#name, version);

/* The real moment at which the clock, showing `shown` at `real_now`, will show `deadline`. Rounded up: never early. */
static int64_t real_moment(const struct squall_law_copy *law, int64_t real_now, int64_t shown, int64_t deadline) {
    int64_t offset = squall_join(law->offset_s, law->offset_part_ns);
    if (law->slope_q63 == 0)
        return squall_difference(deadline, offset);
    if (law->slope_q63 == INT64_MIN) { /* frozen */
        int64_t ahead = squall_difference(deadline, shown);
        return squall_sum(real_now, ahead > 0 ? ahead : 0);
    }
    /* deadline - offset - origin = (real - origin) * (2^63 + slope) / 2^63 */
    __int128 rate = ((__int128)1 << 63) + law->slope_q63;
    __int128 delta = squall_difference(deadline, squall_sum(offset, law->origin_ns));
    __int128 moment = law->origin_ns + delta * ((__int128)1 << 63) / rate + 1;
    return moment > INT64_MAX ? INT64_MAX : moment < 0 ? 0 : (int64_t)moment;
}

/* `at` itself if it needs no moving (no page, clock at rest, not a valid time), else `moved` with the real moment. */
static const struct timespec *move_deadline(clockid_t id, const struct timespec *at, struct timespec *moved) {
    struct squall_page *page = atomic_load_explicit(&squall_page, memory_order_acquire);
    int k = squall_clock_of(id);
    if (page == NULL || k == SQUALL_UNTOUCHED || at == NULL || at->tv_nsec < 0 || at->tv_nsec >= SQUALL_NS_PER_S)
        return at;
    if (at->tv_sec < 0 || at->tv_sec > INT64_MAX / SQUALL_NS_PER_S - 1) /* long past, or "for ever" */
        return at;

    struct squall_law_copy law;
    struct timespec now;
    uint64_t epoch;
    do {
        epoch = atomic_load_explicit(&page->epoch, memory_order_acquire);
        squall_copy_law(page, epoch, k, &law);
        if (squall_at_rest(&law))
            return at;
        if (squall_real_clock_gettime(id, &now) != 0)
            return at;
    } while (squall_epoch_passed(page, epoch));

    struct timespec shown = now;
    squall_apply(&law, &shown);
    int64_t moment = real_moment(&law, squall_to_ns(&now), squall_to_ns(&shown), squall_to_ns(at));
    squall_from_ns(moment > 0 ? moment : 0, moved);
    return moved;
}

/* Where pthread_cond_t keeps its clock: bit 1 of __wrefs since glibc 2.25, one for CLOCK_MONOTONIC. An inner matter of
 * the C library, so it is tried on two condition variables before it is believed. */
static bool cond_layout_known;

static int cond_bit(const pthread_cond_t *cond) { return (cond->__data.__wrefs & 2u) != 0; }

void squall_learn_cond_layout(void) {
    typedef int set_clock(pthread_condattr_t *, clockid_t);
    typedef int attr_init(pthread_condattr_t *);
    typedef int cond_init(pthread_cond_t *, const pthread_condattr_t *);
    attr_init *new_attr = (attr_init *)squall_next("pthread_condattr_init", NULL);
    set_clock *set = (set_clock *)squall_next("pthread_condattr_setclock", NULL);
    cond_init *new_cond = (cond_init *)squall_next("pthread_cond_init", COND_VERSION);
    if (new_attr == NULL || set == NULL || new_cond == NULL)
        return;
    pthread_condattr_t attr;
    pthread_cond_t plain, monotonic;
    memset(&plain, 0, sizeof plain);
    memset(&monotonic, 0, sizeof monotonic);
    if (new_attr(&attr) != 0 || set(&attr, CLOCK_MONOTONIC) != 0)
        return;
    if (new_cond(&plain, NULL) != 0 || new_cond(&monotonic, &attr) != 0)
        return;
    cond_layout_known = !cond_bit(&plain) && cond_bit(&monotonic);
}

/* -1, a clock that is never moved, where the layout is not the one we know. */
static clockid_t cond_clock(const pthread_cond_t *cond) {
    if (!cond_layout_known)
        return -1;
    return cond_bit(cond) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                                  const struct timespec *restrict at) {
    REAL(pthread_cond_timedwait, COND_VERSION)
    struct timespec moved;
    return real(cond, mutex, move_deadline(cond_clock(cond), at, &moved));
}

EXPORT int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict at) {
    REAL(cnd_timedwait, NULL)
    struct timespec moved;
    return real(cond, mutex, move_deadline(CLOCK_REALTIME, at, &moved));
}

EXPORT int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict at) {
    REAL(mtx_timedlock, NULL)
    struct timespec moved;
    return real(mutex, move_deadline(CLOCK_REALTIME, at, &moved));
}

EXPORT int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict at) {
    REAL(sem_timedwait, NULL)
    struct timespec moved;
    return real(sem, move_deadline(CLOCK_REALTIME, at, &moved));
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict at) {
    REAL(pthread_mutex_timedlock, NULL)
    struct timespec moved;
    return real(mutex, move_deadline(CLOCK_REALTIME, at, &moved));
}

EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict lock, const struct timespec *restrict at) {
    REAL(pthread_rwlock_timedrdlock, NULL)
    struct timespec moved;
    return real(lock, move_deadline(CLOCK_REALTIME, at, &moved));
}

EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict lock, const struct timespec *restrict at) {
    REAL(pthread_rwlock_timedwrlock, NULL)
    struct timespec moved;
    return real(lock, move_deadline(CLOCK_REALTIME, at, &moved));
}

/* These name their clock. They came with glibc 2.30; a program can only ask for them where the C library has them. */
#if __GLIBC_PREREQ(2, 30)
EXPORT int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t id,
                                  const struct timespec *restrict at) {
    REAL(pthread_cond_clockwait, NULL)
    struct timespec moved;
    return real(cond, mutex, id, move_deadline(id, at, &moved));
}

EXPORT int sem_clockwait(sem_t *restrict sem, clockid_t id, const struct timespec *restrict at) {
    REAL(sem_clockwait, NULL)
    struct timespec moved;
    return real(sem, id, move_deadline(id, at, &moved));
}

EXPORT int pthread_mutex_clocklock(pthread_mutex_t *restrict mutex, clockid_t id,
                                   const struct timespec *restrict at) {
    REAL(pthread_mutex_clocklock, NULL)
    struct timespec moved;
    return real(mutex, id, move_deadline(id, at, &moved));
}

EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t *restrict lock, clockid_t id,
                                      const struct timespec *restrict at) {
    REAL(pthread_rwlock_clockrdlock, NULL)
    struct timespec moved;
    return real(lock, id, move_deadline(id, at, &moved));
}

EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t *restrict lock, clockid_t id,
                                      const struct timespec *restrict at) {
    REAL(pthread_rwlock_clockwrlock, NULL)
    struct timespec moved;
    return real(lock, id, move_deadline(id, at, &moved));
}
#endif

EXPORT int clock_nanosleep(clockid_t id, int flags, const struct timespec *at, struct timespec *left) {
    REAL(clock_nanosleep, NULL)
    struct timespec moved;
    return real(id, flags, flags & TIMER_ABSTIME ? move_deadline(id, at, &moved) : at, left);
}

/* The kernel tells which clock a timer was made for; nothing else knows once the descriptor was passed on. */
static clockid_t timerfd_clock(int fd) {
    char path[] = "/proc/self/fdinfo/4294967295", digits[10];
    size_t end = sizeof "/proc/self/fdinfo/" - 1, n = 0;
    if (fd < 0)
        return -1;
    do
        digits[n++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (n > 0)
        path[end++] = digits[--n];
    path[end] = '\0';

    char text[512];
    int info = open(path, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return -1;
    ssize_t got = read(info, text, sizeof text - 1);
    close(info);
    text[got > 0 ? got : 0] = '\0';
    const char *at = strstr(text, "clockid: ");
    if (at == NULL)
        return -1;
    clockid_t id = 0;
    for (at += sizeof "clockid: " - 1; *at >= '0' && *at <= '9' && id < 100; at++)
        id = id * 10 + (*at - '0');
    return id;
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
    REAL(timerfd_settime, NULL)
    struct itimerspec moved;
    if ((flags & TFD_TIMER_ABSTIME) && new != NULL && (new->it_value.tv_sec | new->it_value.tv_nsec) != 0 &&
        atomic_load_explicit(&squall_page, memory_order_acquire) != NULL) {
        int saved = errno;
        moved = *new;
        const struct timespec *at = move_deadline(timerfd_clock(fd), &new->it_value, &moved.it_value);
        if (at == &moved.it_value) {
            if ((at->tv_sec | at->tv_nsec) == 0) /* zero would disarm it */
                moved.it_value.tv_nsec = 1;
            new = &moved;
        }
        errno = saved;
    }
    return real(fd, flags, new, old);
}

static bool futex_waits_until(int op) {
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
#ifdef FUTEX_LOCK_PI2
    case FUTEX_LOCK_PI2:
#endif
        return true;
    default: /* FUTEX_WAIT's time is relative; the others have none */
        return false;
    }
}

/* Rust's standard library, among others, waits on futexes through syscall(), with deadlines from clock_gettime. */
EXPORT long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);

    struct timespec moved;
    switch (number) {
    case SYS_clock_gettime:
        return clock_gettime((clockid_t)a[0], (struct timespec *)a[1]);
#ifdef SYS_gettimeofday
    case SYS_gettimeofday:
        return gettimeofday((struct timeval *)a[0], (void *)a[1]);
#endif
#ifdef SYS_time
    case SYS_time:
        return time((time_t *)a[0]);
#endif
    case SYS_futex:
        if (futex_waits_until((int)a[1])) {
            int op = (int)a[1];
            bool real_time = (op & FUTEX_CLOCK_REALTIME) || (op & FUTEX_CMD_MASK) == FUTEX_LOCK_PI;
            a[3] = (long)move_deadline(real_time ? CLOCK_REALTIME : CLOCK_MONOTONIC, (const struct timespec *)a[3],
                                       &moved);
        }
        break;
    case SYS_clock_nanosleep:
        if (a[1] & TIMER_ABSTIME)
            a[2] = (long)move_deadline((clockid_t)a[0], (const struct timespec *)a[2], &moved);
        break;
    default:
        break;
    }
    REAL(syscall, NULL)
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
