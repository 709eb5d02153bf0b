// Conformance 4: a process that starts pinned to its last core alone counts
// one core, with a high number; later its threads run everywhere. A heap chosen
// by the core may never lie outside the table of heaps.
#include "check.h"

#include <sched.h>

static cpu_set_t allowed;

static void *work(void *argument) {
    uint64_t state = (uintptr_t)argument + 11;
    char *kept[64] = {NULL};
    for (int i = 0; i < 20000; i++) {
        uint64_t r = next_random(&state);
        int s = (int)(r % 64);
        if (kept[s] != NULL)
            CHECK(filled(kept[s], 40, s));
        free(kept[s]);
        CHECK((kept[s] = (char *)malloc(40 + (r >> 8) % 3000)) != NULL);
        fill(kept[s], 40, s);
        if (i % 1000 == 0) { // move to some core
            cpu_set_t one;
            CPU_ZERO(&one);
            int core = (int)((r >> 20) % CPU_SETSIZE);
            while (!CPU_ISSET(core, &allowed))
                core = (core + 1) % CPU_SETSIZE;
            CPU_SET(core, &one);
            CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        }
    }
    for (int i = 0; i < 64; i++)
        free(kept[i]);
    return NULL;
}

int main(int count, char **arguments) {
    if (count == 1) {
        CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
        if (CPU_COUNT(&allowed) < 2)
            skip("this process has one core only");
        int last = CPU_SETSIZE - 1;
        while (!CPU_ISSET(last, &allowed))
            last--;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(last, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        char mask[2 * sizeof allowed + 1];
        for (size_t i = 0; i < sizeof allowed; i++)
            snprintf(mask + 2 * i, 3, "%02x", ((unsigned char *)&allowed)[i]);
        execl("/proc/self/exe", arguments[0], mask, (char *)NULL);
        CHECK(!"exec");
    }
    for (size_t i = 0; i < sizeof allowed; i++) {
        unsigned byte;
        CHECK(sscanf(arguments[1] + 2 * i, "%2x", &byte) == 1);
        ((unsigned char *)&allowed)[i] = (unsigned char)byte;
    }
    void *p = malloc(1000);
    CHECK(p != NULL);
    free(p);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start(work, (void *)(intptr_t)i);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    return 0;
}
