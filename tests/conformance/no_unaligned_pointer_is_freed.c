// free ends the process where no block can start, as its address is no multiple of
// 16: by each of the 15 others, beside blocks of each kind.
#include "check.h"

enum { MANY = 9000 };
static char of_the_program[64] __attribute__((aligned(16)));

static void expect_abort(char *pointer, const char *kind) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), 2);
        free(launder(pointer));
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s, at %td: status %#x", kind,
          (intptr_t)pointer % 16, (unsigned)status);
}

int main(void) {
    static char *many[MANY];
    char on_the_stack[64] __attribute__((aligned(16)));
    struct {
        const char *name;
        char *block;
    } kinds[] = {
        {"a young slab", (char *)malloc(100)},
        {"a slab of large cells", (char *)malloc(10000)},
        {"a block of a heap", (char *)malloc(50 * KIB)},
        {"a huge block", (char *)malloc(8 * MIB)},
        {"the second chunk of a heap", NULL},
        {"old slabs", NULL},
        {"an address of the program", of_the_program},
        {"the stack", on_the_stack},
    };
    for (int i = 0; i < MANY; i++)
        CHECK((many[i] = (char *)malloc(8000)) != NULL);
    kinds[4].block = many[MANY - 1];
    kinds[5].block = many[0];
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        CHECK(kinds[k].block != NULL);
        for (int beside = 1; beside < 16; beside++)
            expect_abort(kinds[k].block + beside, kinds[k].name);
    }
    return 0;
}
