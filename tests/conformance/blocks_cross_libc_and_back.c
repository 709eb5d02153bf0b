// Conformance 1: blocks that libc makes for the program (strdup, getline,
// asprintf, open_memstream, realpath ...) are blocks of the same heap, and any
// maker's block goes to any taker.
#include "check.h"

#include <dirent.h>
#include <regex.h>

typedef void *make(size_t);

static void take(void *p, size_t n, int how) {
    CHECK(p != NULL);
    CHECK(malloc_usable_size(p) >= n);
    fill(p, n, n);
    switch (how % 3) {
    case 0:
        break;
    case 1:
        p = realloc(p, 3 * n + 1);
        CHECK(p != NULL && filled(p, n, n));
        break;
    default:
        p = reallocarray(p, n, 2);
        CHECK(p != NULL && filled(p, n, n));
    }
    free(p);
}

int main(void) {
    make *page_alloc = FUNCTION(make *, pvalloc), *valloc_ = FUNCTION(make *, valloc);
    void (*c_free)(void *) = FUNCTION(void (*)(void *), cfree);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t n = 1; n < 300000; n = n * 3 + 1) {
        for (int how = 0; how < 3; how++) {
            void *p;
            take(malloc(n), n, how);
            take(calloc(1, n), n, how);
            take(aligned_alloc(64, n), n, how);
            take(memalign(256, n), n, how);
            CHECK(posix_memalign(&p, 4096, n) == 0);
            take(p, n, how);
            take(reallocarray(NULL, 1, n), n, how);
            p = valloc_(n);
            CHECK((uintptr_t)p % page == 0);
            take(p, n, how);
            p = page_alloc(n);
            CHECK((uintptr_t)p % page == 0 && malloc_usable_size(p) >= (n + page - 1) / page * page,
                  "pvalloc(%zu) rounds up to pages", n);
            take(p, n, how);
        }
        if (c_free != NULL)
            c_free(malloc(n));
    }

    take(strdup("a string"), 9, 1);
    take(strndup("a string", 3), 4, 0);
    char *text = NULL;
    CHECK(asprintf(&text, "%0500d", 7) == 500);
    take(text, 501, 1);

    char *stream = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&stream, &size);
    CHECK(memory != NULL);
    for (int i = 0; i < 5000; i++)
        fprintf(memory, "line %d\n", i);
    CHECK(fclose(memory) == 0 && size > 40000);

    FILE *lines = fmemopen(stream, size, "r");
    CHECK(lines != NULL);
    char *line = (char *)malloc(1); // getline reallocs a block of ours
    size_t capacity = 1;
    int count = 0;
    while (getline(&line, &capacity, lines) > 0)
        count++;
    CHECK(count == 5000);
    free(line);
    fclose(lines);
    free(stream);

    char *cwd = getcwd(NULL, 0), *real = realpath(".", NULL);
    CHECK(cwd != NULL && real != NULL);
    free(cwd);
    free(real);

    struct dirent **names;
    int entries = scandir("/", &names, NULL, alphasort);
    CHECK(entries > 0);
    for (int i = 0; i < entries; i++)
        free(names[i]);
    free(names);

    regex_t expression;
    CHECK(regcomp(&expression, "^(a|b)*c{2,9}$", REG_EXTENDED) == 0);
    CHECK(regexec(&expression, "ababcccc", 0, NULL, 0) == 0);
    regfree(&expression);
    return 0;
}
