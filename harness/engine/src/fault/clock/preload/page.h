/* The page that squall and the processes of one service share, and the arithmetic of its laws.
 *
 * Twin of ../page.rs and ../law.rs: a change here is a change there, and a new SQUALL_PAGE_VERSION.
 *
 * squall writes laws, the processes write receipts. Laws are double-buffered: law set `epoch & 1` is in force, the other
 * one is free for squall to fill before it publishes `epoch + 1`. So a writer that dies half-way leaves the old laws in
 * force, and a reader only ever retries when squall published in the meantime. */
#ifndef SQUALL_CLOCK_PAGE_H
#define SQUALL_CLOCK_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define SQUALL_PAGE_MAGIC UINT64_C(0x4b4c434c41555153) /* "SQUALCLK", little endian */
#define SQUALL_PAGE_VERSION 1u
#define SQUALL_PAGE_SIZE 4096u
#define SQUALL_RECEIPTS 54u
#define SQUALL_NS_PER_S INT64_C(1000000000)

/* Clocks with a law of their own: each has its own origin, since they count from different moments. */
enum squall_clock {
    SQUALL_REALTIME,
    SQUALL_TAI,
    SQUALL_MONOTONIC,
    SQUALL_BOOTTIME,
    SQUALL_MONOTONIC_RAW,
    SQUALL_CLOCKS,
    SQUALL_UNTOUCHED = -1,
};

/* virtual = real + offset + floor((real - origin) * slope / 2^63), with offset = offset_s * 10^9 + offset_part_ns and
 * offset_part_ns in 0..10^9. Split and scaled so that a read needs no division. A slope of -2^63 is a frozen clock. */
struct squall_law {
    _Atomic int64_t offset_s;
    _Atomic int64_t offset_part_ns;
    _Atomic int64_t origin_ns;
    _Atomic int64_t slope_q63;
};

struct squall_law_set {
    struct squall_law law[SQUALL_CLOCKS];
    uint64_t reserved[4];
};

/* What a process wrote down at its first read of a clock family in an epoch. `ticket` is zero while it is being written,
 * and counts receipts from one otherwise. */
struct squall_receipt {
    _Atomic uint64_t ticket;
    _Atomic uint64_t epoch;
    _Atomic uint32_t pid;
    _Atomic uint32_t clock_id;
    _Atomic int64_t real_ns;
    _Atomic int64_t virtual_ns;
    uint64_t reserved[3];
};

struct squall_page {
    uint64_t magic;
    uint32_t version;
    uint32_t size;
    _Atomic uint64_t epoch;
    _Atomic uint64_t attached; /* processes that mapped this page */
    _Atomic uint64_t receipts; /* receipts ever begun; receipt n goes to slot n % SQUALL_RECEIPTS */
    uint64_t reserved[3];
    struct squall_law_set laws[2];
    struct squall_receipt receipt[SQUALL_RECEIPTS];
    uint64_t reserved_2[24];
};

_Static_assert(sizeof(struct squall_law_set) == 192, "a law set is three cache lines");
_Static_assert(sizeof(struct squall_receipt) == 64, "a receipt is a cache line");
_Static_assert(offsetof(struct squall_page, laws) == 64, "the laws start a cache line");
_Static_assert(offsetof(struct squall_page, receipt) == 448, "the receipts start a cache line");
_Static_assert(sizeof(struct squall_page) == SQUALL_PAGE_SIZE, "the page is one page");

/* A consistent copy of a law. */
struct squall_law_copy {
    int64_t offset_s, offset_part_ns, origin_ns, slope_q63;
};

/* Sums go through unsigned numbers: a law out of range gives a wrong time, never undefined behaviour. squall refuses
 * such laws before they get here. */
static inline int64_t squall_sum(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t squall_difference(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t squall_join(int64_t s, int64_t ns) {
    return (int64_t)((uint64_t)s * (uint64_t)SQUALL_NS_PER_S + (uint64_t)ns);
}

/* What the slope adds. The shift rounds down, as an arithmetic shift does in every compiler we meet. */
static inline int64_t squall_drift(const struct squall_law_copy *law, int64_t real_ns) {
    return (int64_t)(((__int128)squall_difference(real_ns, law->origin_ns) * law->slope_q63) >> 63);
}

#endif
