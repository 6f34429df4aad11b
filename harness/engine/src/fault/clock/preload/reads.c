/* The functions that tell the time. Each reads the real clock and applies the law in force.
 *
 * Lock-free, safe in signal handlers and after fork. The law and the real time belong together: if squall publishes
 * between reading the one and the other, the read starts over. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim.h"

/* Before the constructor has run, other libraries' constructors may already ask for the time. */
static int bare_clock_gettime(clockid_t id, struct timespec *ts) {
    register long rc;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(rc) : "a"(SYS_clock_gettime), "D"((long)id), "S"(ts) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clock_gettime;
    register long x0 __asm__("x0") = id;
    register long x1 __asm__("x1") = (long)ts;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
    rc = x0;
#else
#error "the clock library knows x86-64 and aarch64"
#endif
    if (rc < 0) {
        errno = (int)-rc;
        return -1;
    }
    return 0;
}

int (*squall_real_clock_gettime)(clockid_t, struct timespec *) = bare_clock_gettime;

enum family { FAMILY_REALTIME, FAMILY_MONOTONIC, FAMILIES };

static inline enum family family_of(int k) { return k <= SQUALL_TAI ? FAMILY_REALTIME : FAMILY_MONOTONIC; }

/* The last epoch in which this process wrote a receipt, per family. */
struct reported {
    _Atomic uint64_t epoch[FAMILIES];
};
static struct reported fallback;
static struct reported *reported = &fallback;

/* A forked child is a process of its own and writes its own receipts: the kernel clears this memory for it. Where the
 * kernel can't, the child counts as its parent. */
__attribute__((constructor)) static void prepare_receipts(void) {
    int saved = errno;
    void *at = mmap(NULL, SQUALL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) {
        if (madvise(at, SQUALL_PAGE_SIZE, MADV_WIPEONFORK) == 0)
            reported = at;
        else
            munmap(at, SQUALL_PAGE_SIZE);
    }
    errno = saved;
}

__attribute__((noinline, cold)) static void write_receipt(struct squall_page *page, uint64_t epoch, clockid_t id,
                                                          enum family family, const struct timespec *real,
                                                          const struct squall_law_copy *law) {
    uint64_t before = atomic_load_explicit(&reported->epoch[family], memory_order_relaxed);
    /* One thread of the process writes; a later epoch is never overwritten by an earlier one. */
    if (before >= epoch || !atomic_compare_exchange_strong(&reported->epoch[family], &before, epoch))
        return;
    struct timespec shown = *real;
    squall_apply(law, &shown);
    uint64_t n = atomic_fetch_add_explicit(&page->receipts, 1, memory_order_relaxed);
    struct squall_receipt *r = &page->receipt[n % SQUALL_RECEIPTS];
    atomic_store_explicit(&r->ticket, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&r->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&r->pid, (uint32_t)getpid(), memory_order_relaxed);
    atomic_store_explicit(&r->clock_id, (uint32_t)id, memory_order_relaxed);
    atomic_store_explicit(&r->real_ns, squall_to_ns(real), memory_order_relaxed);
    atomic_store_explicit(&r->virtual_ns, squall_to_ns(&shown), memory_order_relaxed);
    atomic_store_explicit(&r->ticket, n + 1, memory_order_release);
}

static inline int read_clock(clockid_t id, struct timespec *ts) {
    struct squall_page *page = atomic_load_explicit(&squall_page, memory_order_acquire);
    int k = squall_clock_of(id);
    if (UNLIKELY(page == NULL || k == SQUALL_UNTOUCHED))
        return squall_real_clock_gettime(id, ts);

    struct squall_law_copy law;
    uint64_t epoch;
    do {
        epoch = atomic_load_explicit(&page->epoch, memory_order_acquire);
        int rc = squall_real_clock_gettime(id, ts);
        if (UNLIKELY(rc != 0))
            return rc;
        squall_copy_law(page, epoch, k, &law);
    } while (squall_epoch_passed(page, epoch));

    enum family family = family_of(k);
    if (UNLIKELY(atomic_load_explicit(&reported->epoch[family], memory_order_relaxed) != epoch))
        write_receipt(page, epoch, id, family, ts, &law);
    if (!squall_at_rest(&law))
        squall_apply(&law, ts);
    return 0;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *ts) { return read_clock(id, ts); }

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
    if (tz != NULL) { /* as the C library has done since 2.31 */
        ((struct timezone *)tz)->tz_minuteswest = 0;
        ((struct timezone *)tz)->tz_dsttime = 0;
    }
    if (tv == NULL)
        return 0;
    struct timespec ts;
    int rc = read_clock(CLOCK_REALTIME, &ts);
    if (rc == 0) {
        tv->tv_sec = ts.tv_sec;
        tv->tv_usec = ts.tv_nsec / 1000;
    }
    return rc;
}

/* Like the kernel's own, time() counts the coarse clock's seconds. */
EXPORT time_t time(time_t *out) {
    struct timespec ts;
    if (read_clock(CLOCK_REALTIME_COARSE, &ts) != 0)
        return (time_t)-1;
    if (out != NULL)
        *out = ts.tv_sec;
    return ts.tv_sec;
}

EXPORT int timespec_get(struct timespec *ts, int base) {
    if (base == TIME_UTC)
        return read_clock(CLOCK_REALTIME, ts) == 0 ? base : 0;
    static int (*_Atomic next)(struct timespec *, int);
    if (next == NULL)
        next = (int (*)(struct timespec *, int))squall_next("timespec_get", NULL);
    int got = next != NULL ? next(ts, base) : 0;
    if (got == 2) /* TIME_MONOTONIC, where the C library knows it */
        return read_clock(CLOCK_MONOTONIC, ts) == 0 ? base : 0;
    return got;
}

/* Gone from the headers, still called by old programs. */
struct squall_timeb {
    time_t time;
    unsigned short millitm;
    short timezone;
    short dstflag;
};
EXPORT int ftime(struct squall_timeb *out);
EXPORT int ftime(struct squall_timeb *out) {
    struct timespec ts;
    if (read_clock(CLOCK_REALTIME, &ts) != 0)
        return -1;
    out->time = ts.tv_sec;
    out->millitm = (unsigned short)(ts.tv_nsec / 1000000);
    out->timezone = 0;
    out->dstflag = 0;
    return 0;
}
