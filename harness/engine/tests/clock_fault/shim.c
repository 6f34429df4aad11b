/* The preload library's inner functions on a page of this program's own and a real clock that stands still, so that
 * every answer is known to the nanosecond. */
#include "reads.c"
#include "waits.c"

#include <stdio.h>
#include <stdlib.h>

struct squall_page *_Atomic squall_page;
void *squall_next(const char *name, const char *version) {
    (void)name, (void)version;
    return NULL;
}

static struct squall_page page = {.epoch = 1};

/* Every law that is published moves the clock by as many seconds as nanoseconds. */
static void publish(long law_number) {
    uint64_t epoch = atomic_load_explicit(&page.epoch, memory_order_relaxed) + 1;
    atomic_thread_fence(memory_order_release);
    struct squall_law *law = &page.laws[epoch & 1].law[SQUALL_REALTIME];
    atomic_store_explicit(&law->offset_s, law_number, memory_order_relaxed);
    atomic_store_explicit(&law->offset_part_ns, law_number, memory_order_relaxed);
    atomic_store_explicit(&page.epoch, epoch, memory_order_release);
}

static long publish_while_reading;

static int standing_clock(clockid_t id, struct timespec *ts) {
    (void)id;
    *ts = (struct timespec){1000, 0};
    if (publish_while_reading != 0)
        publish(publish_while_reading);
    publish_while_reading = 0;
    return 0;
}

/* A law published in the middle of a read counts: the real time was read no earlier. */
static void publish_midway(long count) {
    long wrong = 0;
    squall_real_clock_gettime = standing_clock;
    squall_page = &page;
    for (long i = 1; i <= count; i++) {
        struct timespec ts;
        publish_while_reading = i;
        clock_gettime(CLOCK_REALTIME, &ts);
        wrong += ts.tv_sec - 1000 != i || ts.tv_nsec != i;
    }
    printf("%ld\n", wrong);
}

static atomic_bool done;
static atomic_long torn, reads;

static void *read_on(void *unused) {
    (void)unused;
    struct timespec ts;
    while (!done) {
        clock_gettime(CLOCK_REALTIME, &ts);
        torn += ts.tv_sec - 1000 != ts.tv_nsec;
        reads++;
    }
    return NULL;
}

static void publish_laws(long count) {
    pthread_t thread[2];
    squall_real_clock_gettime = standing_clock;
    squall_page = &page;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, read_on, NULL);
    for (long i = 1; i <= count || reads == 0; i++)
        publish(i);
    done = true;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    printf("%ld\n", (long)torn);
}

/* For a real time on each line: what the clock shows, and when it will show that, by the law of the page in a file. */
static void apply_law(const char *path) {
    FILE *file = fopen(path, "r");
    struct squall_law_copy law;
    long long real_ns;
    if (file == NULL || fread(&page, sizeof page, 1, file) != 1)
        exit(1);
    squall_copy_law(&page, page.epoch, SQUALL_REALTIME, &law);
    while (scanf("%lld", &real_ns) == 1) {
        struct timespec real, shown;
        squall_from_ns(real_ns, &real);
        shown = real;
        squall_apply(&law, &shown);
        if (shown.tv_nsec < 0 || shown.tv_nsec >= SQUALL_NS_PER_S)
            exit(2);
        int64_t shown_ns = squall_to_ns(&shown);
        printf("%lld %lld\n", (long long)shown_ns, (long long)real_moment(&law, real_ns, shown_ns, shown_ns));
    }
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "publish") == 0)
        publish_laws(atol(arguments[2]));
    else if (count == 3 && strcmp(arguments[1], "midway") == 0)
        publish_midway(atol(arguments[2]));
    else if (count == 3 && strcmp(arguments[1], "apply") == 0)
        apply_law(arguments[2]);
    else
        return 3;
    return 0;
}
