/* How much memory is enough, for a program that knows its blocks: at most 40 of
 * 24 bytes and 3 of 4096 at once. The number is what this prints:
 *
 *     echo '{"sizes": [{"size": 24, "count": 40}, {"size": 4096, "count": 3}]}' > blocks.json
 *     memman size --profile blocks.json
 *
 * The area is static, so that the linker says whether it fits the machine, and
 * no request within the profile is ever refused. The second half is an adversary
 * that tries to break this: it keeps just the small blocks that spoil the area
 * for the large ones, in many orders. With a smaller number of bytes as argument
 * it is let loose on so many of the area instead.
 *
 *     cc embedded.c -lmemman
 */
#include <ffit.h>
#include <stdio.h>

enum { SMALL = 24, SMALLS = 40, LARGE = 4096, LARGES = 3, AREA = 35007 };

static unsigned char area[AREA];
static ffit_heap_t heap;

static void *smalls[SMALLS];
static void *larges[LARGES];
static uintptr_t reach;
static unsigned long requests;

static unsigned rolls(void)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return state >> 16;
}

/* Gets a block into an empty slot, as the program would: there always is one. */
static void get(void **slot, size_t size)
{
    *slot = ffit_get_block(&heap, size);
    requests++;
    if (*slot == NULL) {
        printf("refused: request %lu, of %zu bytes, in %zu bytes\n", requests, size, (size_t)heap.hs);
        exit(1);
    }
    if ((uintptr_t)*slot + size - (uintptr_t)area > reach)
        reach = (uintptr_t)*slot + size - (uintptr_t)area;
}

static void release(void **slot)
{
    if (*slot != NULL && ffit_free_block(&heap, *slot) != FFIT_HEAP_OK)
        abort();
    *slot = NULL;
}

static void get_smalls(void)
{
    for (int i = 0; i < SMALLS; i++)
        if (smalls[i] == NULL)
            get(&smalls[i], SMALL);
}

/* Frees every small block without which the hole around it still has no room
 * for a large one. */
static void thin(size_t hole)
{
    uintptr_t kept_end = (uintptr_t)area, at = 0;
    for (;;) {
        int lowest = -1;
        uintptr_t next = UINTPTR_MAX;
        for (int i = 0; i < SMALLS; i++) {
            uintptr_t start = (uintptr_t)smalls[i];
            if (start > at && (lowest < 0 || start < (uintptr_t)smalls[lowest])) {
                if (lowest >= 0)
                    next = (uintptr_t)smalls[lowest];
                lowest = i;
            } else if (start > at && start < next) {
                next = start;
            }
        }
        if (lowest < 0)
            return;
        at = (uintptr_t)smalls[lowest];
        if (next != UINTPTR_MAX && next - kept_end < hole)
            release(&smalls[lowest]);
        else
            kept_end = at + SMALL;
    }
}

int main(int argc, char **argv)
{
    const ffit_sizes_t profile[] = {{SMALL, SMALL, SMALLS}, {LARGE, LARGE, LARGES}};

    if (ffit_required_for(profile, 2, SIZE_MAX) > sizeof area) {
        puts("the area is too small for the profile");
        return 1;
    }
    heap.mh = (uintptr_t)area;
    heap.hs = argc > 1 ? strtoul(argv[1], NULL, 10) : sizeof area;
    if (heap.hs > sizeof area || ffit_init(&heap) != FFIT_HEAP_OK) {
        puts("so many bytes hold no heap, or are not there");
        return 1;
    }
    for (int round = 0; round < 20000; round++) {
        /* Large blocks apart by small ones, then only what spoils. */
        for (int i = 0; i < LARGES; i++) {
            if (larges[i] == NULL && rolls() % 4)
                get(&larges[i], LARGE);
            for (int k = rolls() % SMALLS; k < SMALLS; k++)
                if (smalls[k] == NULL && rolls() % 8 == 0)
                    get(&smalls[k], SMALL);
        }
        if (rolls() % 2)
            get_smalls();
        for (int i = 0; i < LARGES; i++)
            if (rolls() % 3)
                release(&larges[i]);
        if (rolls() % 2)
            thin(LARGE);
        else
            for (int i = 0; i < SMALLS; i++)
                if (rolls() % 2)
                    release(&smalls[i]);
    }
    printf("%lu requests served in %zu bytes; the highest block ended at %lu\n", requests, (size_t)heap.hs,
           (unsigned long)reach);
    return 0;
}
