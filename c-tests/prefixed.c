/* A program that has a buddy_init and a buddy_heap_t of its own: with a build
 * under SYMBOL_PREFIX=mm_ both live side by side. */
#include <stdio.h>

#include <buddy.h>

typedef struct {
    const char *name;
} buddy_heap_t;

int buddy_init(buddy_heap_t *own);

int buddy_init(buddy_heap_t *own)
{
    own->name = "mine";
    return 42;
}

int main(void)
{
    static unsigned char area[4096];
    buddy_heap_t own;
    mm_buddy_heap_t heap = {(uintptr_t)area, sizeof area, 1, {0}};
    mm_ffit_heap_t first_fit = {(uintptr_t)area, sizeof area, {0}};
    if (buddy_init(&own) != 42 || mm_buddy_init(&heap) != BUDDY_HEAP_OK)
        return 1;
    void *block = mm_buddy_get_block(&heap, 100);
    if (block == NULL || mm_buddy_free_block(&heap, block) != BUDDY_HEAP_OK)
        return 1;
    if (mm_ffit_init(&first_fit) != FFIT_HEAP_OK || mm_ffit_get_block(&first_fit, 1) == NULL)
        return 1;
    printf("passed   %s and prefixed\n", own.name);
    return 0;
}
