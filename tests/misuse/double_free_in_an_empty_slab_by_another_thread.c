// As double_free_in_an_empty_slab, but another thread frees the block again; the first then
// goes on to allocate.
#include "check.h"

enum { MANY = 20000 };
static char *blocks[MANY];

static void *free_again(void *block) {
    free(block);
    return NULL;
}

int main(void) {
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(48)) != NULL);
    for (int i = 0; i < MANY; i++)
        free(blocks[i]);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_again, launder(blocks[MANY - 3000])) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < MANY; i++)
        CHECK((blocks[i] = (char *)malloc(48)) != NULL);
    return 0;
}
