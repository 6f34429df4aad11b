/* What the parts of the preload library share. */
#ifndef SQUALL_CLOCK_SHIM_H
#define SQUALL_CLOCK_SHIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "page.h"

#define EXPORT __attribute__((visibility("default")))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The mapped page, or NULL: then every call below goes to the C library unchanged. Set once, by the constructor. */
extern struct squall_page *_Atomic squall_page;

/* The C library's own clock_gettime; the bare system call until the constructor has run. */
extern int (*squall_real_clock_gettime)(clockid_t, struct timespec *);

/* The next definition of `name`, which is the C library's. With `version` where the default could be an older one. */
void *squall_next(const char *name, const char *version);

/* Looks up the functions that waits.c wraps. */
void squall_find_waits(void);

/* Whether pthread_cond_t tells its clock the way squall_cond_clock reads it. Tried in the constructor. */
void squall_learn_cond_layout(void);

/* Which law a clock id follows, as an enum squall_clock. */
static inline int squall_clock_of(clockid_t id) {
    static const signed char of[] = {
        [CLOCK_REALTIME] = SQUALL_REALTIME,
        [CLOCK_MONOTONIC] = SQUALL_MONOTONIC,
        [CLOCK_PROCESS_CPUTIME_ID] = SQUALL_UNTOUCHED,
        [CLOCK_THREAD_CPUTIME_ID] = SQUALL_UNTOUCHED,
        [CLOCK_MONOTONIC_RAW] = SQUALL_MONOTONIC_RAW,
        [CLOCK_REALTIME_COARSE] = SQUALL_REALTIME,
        [CLOCK_MONOTONIC_COARSE] = SQUALL_MONOTONIC,
        [CLOCK_BOOTTIME] = SQUALL_BOOTTIME,
        [CLOCK_REALTIME_ALARM] = SQUALL_REALTIME,
        [CLOCK_BOOTTIME_ALARM] = SQUALL_BOOTTIME,
        [10] = SQUALL_UNTOUCHED, /* once CLOCK_SGI_CYCLE */
        [CLOCK_TAI] = SQUALL_TAI,
    };
    return (unsigned)id < sizeof of ? of[id] : SQUALL_UNTOUCHED;
}

/* Copies the law of clock `k`; the copy is whole if the page's epoch is still `epoch` after an acquire fence. */
static inline void squall_copy_law(const struct squall_page *page, uint64_t epoch, int k,
                                   struct squall_law_copy *copy) {
    const struct squall_law *law = &page->laws[epoch & 1].law[k];
    copy->offset_s = atomic_load_explicit(&law->offset_s, memory_order_relaxed);
    copy->offset_part_ns = atomic_load_explicit(&law->offset_part_ns, memory_order_relaxed);
    copy->origin_ns = atomic_load_explicit(&law->origin_ns, memory_order_relaxed);
    copy->slope_q63 = atomic_load_explicit(&law->slope_q63, memory_order_relaxed);
}

static inline bool squall_epoch_passed(const struct squall_page *page, uint64_t epoch) {
    atomic_thread_fence(memory_order_acquire);
    return UNLIKELY(atomic_load_explicit(&page->epoch, memory_order_relaxed) != epoch);
}

static inline bool squall_at_rest(const struct squall_law_copy *law) {
    return (law->offset_s | law->offset_part_ns | law->slope_q63) == 0;
}

static inline int64_t squall_to_ns(const struct timespec *ts) { return squall_join(ts->tv_sec, ts->tv_nsec); }

static inline void squall_from_ns(int64_t ns, struct timespec *ts) {
    int64_t sec = ns / SQUALL_NS_PER_S, rest = ns % SQUALL_NS_PER_S;
    if (rest < 0) { /* before the clock's zero: the nanoseconds still count forwards */
        sec -= 1;
        rest += SQUALL_NS_PER_S;
    }
    ts->tv_sec = sec;
    ts->tv_nsec = rest;
}

/* Turns a real time into the virtual one, in place. */
static inline void squall_apply(const struct squall_law_copy *law, struct timespec *ts) {
    int64_t ns = ts->tv_nsec + law->offset_part_ns;
    if (law->slope_q63 != 0)
        ns = squall_sum(ns, squall_drift(law, squall_to_ns(ts)));
    int64_t sec = squall_sum(ts->tv_sec, law->offset_s);
    if (ns >= SQUALL_NS_PER_S) {
        sec += 1;
        ns -= SQUALL_NS_PER_S;
    }
    if ((uint64_t)ns >= (uint64_t)SQUALL_NS_PER_S) { /* drifted far: only now a division */
        struct timespec far;
        squall_from_ns(ns, &far);
        sec = squall_sum(sec, far.tv_sec);
        ns = far.tv_nsec;
    }
    ts->tv_sec = sec;
    ts->tv_nsec = ns;
}

#endif
