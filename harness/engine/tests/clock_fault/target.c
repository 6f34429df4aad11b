/* A program whose clocks the tests shift. It does what the lines on its standard input say and answers each with a line.
 * It knows nothing of squall. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

typedef long long ns_t;
#define SECOND 1000000000LL

static ns_t to_ns(struct timespec t) { return t.tv_sec * SECOND + t.tv_nsec; }
static struct timespec from_ns(ns_t ns) { return (struct timespec){ns / SECOND, ns % SECOND}; }

static ns_t now(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return to_ns(t);
}

/* Every way to ask for the time, in nanoseconds. */
static void print_reads(void) {
    struct timeval tv;
    struct timespec utc, bare;
    gettimeofday(&tv, NULL);
    timespec_get(&utc, TIME_UTC);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &bare);
    printf("%lld %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld\n", now(CLOCK_REALTIME),
           now(CLOCK_REALTIME_COARSE), now(CLOCK_TAI), (ns_t)tv.tv_sec * SECOND + tv.tv_usec * 1000LL,
           (ns_t)time(NULL) * SECOND, to_ns(utc), to_ns(bare), now(CLOCK_MONOTONIC), now(CLOCK_MONOTONIC_COARSE),
           now(CLOCK_BOOTTIME), now(CLOCK_MONOTONIC_RAW));
}

static int wait_cond(clockid_t id, const struct timespec *at, int how) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    if (how == 'a')
        pthread_condattr_setclock(&attr, id);
    pthread_cond_init(&cond, &attr);
    pthread_mutex_lock(&mutex);
    int rc;
    do
        rc = how == 'c' ? pthread_cond_clockwait(&cond, &mutex, id, at) : pthread_cond_timedwait(&cond, &mutex, at);
    while (rc == 0);
    return rc;
}

static int wait_timerfd(clockid_t id, const struct timespec *at) {
    int fd = timerfd_create(id, 0);
    struct itimerspec when = {.it_value = *at};
    uint64_t ticks;
    int rc = timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    if (rc == 0)
        rc = read(fd, &ticks, sizeof ticks) == sizeof ticks ? 0 : errno;
    close(fd);
    return rc;
}

static int wait_futex(clockid_t id, const struct timespec *at) {
    uint32_t word = 0;
    int op = FUTEX_WAIT_BITSET_PRIVATE | (id == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    return syscall(SYS_futex, &word, op, 0, at, NULL, FUTEX_BITSET_MATCH_ANY) == 0 ? 0 : errno;
}

static int wait_lock(clockid_t id, const struct timespec *at, int timed) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    return timed ? pthread_mutex_timedlock(&mutex, at) : pthread_mutex_clocklock(&mutex, id, at);
}

static int wait_rwlock(clockid_t id, const struct timespec *at, int timed) {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    pthread_rwlock_rdlock(&lock);
    return timed ? pthread_rwlock_timedwrlock(&lock, at) : pthread_rwlock_clockwrlock(&lock, id, at);
}

static int wait_c11(const struct timespec *at, int locking) {
    mtx_t mutex;
    cnd_t cond;
    mtx_init(&mutex, mtx_timed);
    cnd_init(&cond);
    mtx_lock(&mutex);
    int rc;
    do
        rc = locking ? mtx_timedlock(&mutex, at) : cnd_timedwait(&cond, &mutex, at);
    while (rc == thrd_success);
    return rc == thrd_timedout ? ETIMEDOUT : EINVAL;
}

static int wait_until(const char *how, clockid_t id, ns_t deadline) {
    struct timespec at = from_ns(deadline);
    sem_t sem;
    sem_init(&sem, 0, 0);
#define IS(name) (strcmp(how, name) == 0)
    return IS("clock_nanosleep")  ? clock_nanosleep(id, TIMER_ABSTIME, &at, NULL)
           : IS("cond_timedwait") ? wait_cond(id, &at, 'a')
           : IS("cond_clockwait") ? wait_cond(id, &at, 'c')
           : IS("cnd_timedwait")  ? wait_c11(&at, 0)
           : IS("mtx_timedlock")  ? wait_c11(&at, 1)
           : IS("sem_timedwait")  ? (sem_timedwait(&sem, &at) ? errno : 0)
           : IS("sem_clockwait")  ? (sem_clockwait(&sem, id, &at) ? errno : 0)
           : IS("mutex_timed")    ? wait_lock(id, &at, 1)
           : IS("mutex_clock")    ? wait_lock(id, &at, 0)
           : IS("rwlock_timed")   ? wait_rwlock(id, &at, 1)
           : IS("rwlock_clock")   ? wait_rwlock(id, &at, 0)
           : IS("timerfd")        ? wait_timerfd(id, &at)
           : IS("futex")          ? wait_futex(id, &at)
                                  : -1;
}

/* Waits until `ahead` from now by clock `id`; answers how it ended, how long that took by clock `by`, and how far clock
 * `id` then was past the deadline. */
static void print_wait(const char *how, clockid_t id, ns_t ahead, clockid_t by) {
    ns_t start = now(by), deadline = now(id) + ahead;
    int rc = wait_until(how, id, deadline);
    ns_t took = now(by) - start;
    printf("%s %lld %lld\n", rc == 0 || rc == ETIMEDOUT ? "ended" : strerror(rc), took, now(id) - deadline);
}

/* A relative wait, timed by clock `by`. */
static void print_sleep(const char *how, ns_t length, clockid_t by) {
    struct timespec t = from_ns(length);
    ns_t start = now(by);
    int rc = IS("nanosleep") ? nanosleep(&t, NULL)
             : IS("clock_nanosleep") ? clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL)
                                     : poll(NULL, 0, (int)(length / 1000000));
    printf("%s %lld 0\n", rc == 0 ? "ended" : "failed", now(by) - start);
}

static void print_errno(void) {
    errno = 77;
    now(CLOCK_REALTIME);
    now(CLOCK_MONOTONIC);
    time(NULL);
    printf("%d\n", errno);
}

static void print_fork(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        now(CLOCK_REALTIME);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    printf("%d\n", (int)child);
}

/* Threads that read while the tests step the clock between two offsets; a reading that is at neither is torn. */
static atomic_bool stop;
static atomic_llong reads, torn;
static ns_t offsets[2], base;

static void *hammer(void *unused) {
    (void)unused;
    const ns_t slack = SECOND / 100; /* the kernel may slew the real clocks apart meanwhile */
    while (!stop) {
        ns_t before = now(CLOCK_MONOTONIC), shown = now(CLOCK_REALTIME), after = now(CLOCK_MONOTONIC);
        int fits = 0;
        for (int i = 0; i < 2; i++) {
            ns_t real = shown - base - offsets[i];
            fits |= real >= before - slack && real <= after + slack;
        }
        reads++;
        torn += !fits;
    }
    return NULL;
}

static void print_hammer(char *line, size_t size) {
    pthread_t thread[2];
    base = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC);
    offsets[0] += 0;
    base -= offsets[0];
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, hammer, NULL);
    printf("started\n");
    fflush(stdout);
    if (fgets(line, (int)size, stdin) == NULL)
        exit(1);
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    printf("%lld %lld\n", (ns_t)reads, (ns_t)torn);
}

static void print_cost(clockid_t id, long n) {
    struct timespec t;
    ns_t start = now(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < n; i++)
        clock_gettime(id, &t);
    printf("%.2f\n", (double)(now(CLOCK_PROCESS_CPUTIME_ID) - start) / (double)n);
}

int main(void) {
    char line[256], how[64];
    int id, by;
    ns_t ns;
    long n;
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "read\n") == 0)
            print_reads();
        else if (strcmp(line, "errno\n") == 0)
            print_errno();
        else if (strcmp(line, "fork\n") == 0)
            print_fork();
        else if (sscanf(line, "wait %63s %d %lld %d", how, &id, &ns, &by) == 4)
            print_wait(how, id, ns, by);
        else if (sscanf(line, "sleep %63s %lld %d", how, &ns, &by) == 3)
            print_sleep(how, ns, by);
        else if (sscanf(line, "hammer %lld %lld", &offsets[0], &offsets[1]) == 2)
            print_hammer(line, sizeof line);
        else if (sscanf(line, "cost %d %ld", &id, &n) == 2)
            print_cost(id, n);
        else
            printf("unknown\n");
        fflush(stdout);
    }
}
